"""From a recipe's name to a root file system."""

from dataclasses import dataclass
from pathlib import Path

from cove.images.bootstrap.machine import Machine
from cove.images.bootstrap.progress import Report
from cove.images.bootstrap.root import Root

RECIPES = ("busybox",)


@dataclass(frozen=True)
class Options:
    """Where packages come from, when not from where the machine's apt takes them.

    ``mirror``: the URI above ``dists/``. ``suite``: a suite or codename. ``keyring``: a file of OpenPGP keys, binary
    or armored. "" is: as apt is configured. ``work_dir``: where the files are made, a temporary directory if None.
    ``machine``: for tests.
    """

    mirror: str = ""
    suite: str = ""
    keyring: str = ""
    work_dir: Path | None = None
    machine: Machine | None = None


async def run(recipe: str, options: Options, report: Report) -> Root:
    """Make the root file system of ``recipe`` (one of RECIPES). The caller closes the Root.

    ``report`` is called on the event loop. Raises InvalidArgument (an unknown recipe, a bad option or apt
    configuration), NotFound (no archive, no such package) and Unavailable (the mirror does not answer, or what it
    serves is not what was signed).
    """
    raise NotImplementedError
