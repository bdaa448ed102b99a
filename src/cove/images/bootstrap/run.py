"""From a recipe's name to a root file system."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cove.errors import InvalidArgument, Unavailable
from cove.images.bootstrap import alpine, busybox, debs, distribution, variants
from cove.images.bootstrap.apt_sources import read_sources
from cove.images.bootstrap.archive import choose_sources
from cove.images.bootstrap.deb import Deb
from cove.images.bootstrap.download import Downloads
from cove.images.bootstrap.machine import PLATFORMS, Machine
from cove.images.bootstrap.packages import Package, find_packages
from cove.images.bootstrap.progress import Progress, Report
from cove.images.bootstrap.provenance import labels
from cove.images.bootstrap.release import Release, fetch_release
from cove.images.bootstrap.root import Root
from cove.images.bootstrap.tree import Tree
from cove.images.bootstrap.workshop import Workshop
from cove.oci.image import Config
from cove.store import in_thread


class Recipe(NamedTuple):
    """What is made of which packages. ``lay_out(tree, debs by name, work directory)``, ``config(labels)``."""

    packages: tuple[str, ...]
    lay_out: Callable[[Tree, Mapping[str, Deb], Path], None]
    config: Callable[[dict[str, str]], Config]


RECIPES: dict[str, Recipe] = {"busybox": Recipe(busybox.PACKAGES, busybox.lay_out, busybox.config)}


_PREFIX = "bootstrap-"


@dataclass(frozen=True)
class Options:
    """Where packages come from, when not from where the machine's apt takes them, and which.

    ``mirror``: the URI above ``dists/``. ``suite``: a suite or codename. ``keyring``: a file of OpenPGP keys, binary
    or armored. "" is: as apt is configured. ``work_dir``: where the files are made, the system's temporary directory
    if None. ``machine``: instead of the one this runs on. ``architecture``: Debian's name of another one. ``lack``:
    what is missing to run its programs here, "" for nothing.

    Of distributions (``NAME:SUITE``) alone: ``variant``; ``include``: more packages; ``snapshot``: dates that the
    releases must have; ``workshop``: where their scripts run.
    """

    mirror: str = ""
    suite: str = ""
    keyring: str = ""
    work_dir: Path | None = None
    machine: Machine | None = None
    architecture: str = ""
    lack: str = ""
    variant: str = ""
    include: tuple[str, ...] = ()
    snapshot: str = ""
    workshop: Workshop | None = None


async def run(recipe: str, options: Options, report: Report) -> Root:
    """Make the root file system of ``recipe``: one of RECIPES, or ``NAME:SUITE``. The caller closes the Root.

    ``report`` is called on the event loop. Raises InvalidArgument (an unknown recipe, a bad option or apt
    configuration), NotFound (no archive, no such package) and Unavailable (the mirror does not answer, or what it
    serves is not what was signed).
    """
    here = options.machine if options.machine else await in_thread(Machine.detect)
    machine = replace(here, architecture=options.architecture or here.architecture)
    if machine.architecture not in PLATFORMS:
        raise InvalidArgument(f"images cannot name the architecture {machine.architecture}")
    wish = _wish(recipe, options)
    work = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=options.work_dir))
    try:
        if wish is not None and wish.recipe.startswith(f"{alpine.NAME}:"):
            return await alpine.make(wish, machine, options.workshop, work, report)
        if wish is not None:
            return await distribution.make(wish, machine, options.workshop, work, report)
        packages, releases = await _fetch(RECIPES[recipe].packages, options, machine, work, report)
        report(Progress("Unpacking", ", ".join(map(str, packages.values()))))
        return await in_thread(_build, recipe, packages, releases, machine, work)
    except BaseException:
        await in_thread(shutil.rmtree, work, ignore_errors=True)
        raise


def remove_stale(work_dir: Path) -> None:
    """Remove what a killed daemon left in ``work_dir``. Only while nothing runs there: at start-up."""
    for directory in work_dir.glob(f"{_PREFIX}*"):
        shutil.rmtree(directory, ignore_errors=True)


def _wish(recipe: str, options: Options) -> distribution.Wish | None:
    """None for a recipe of one package. Raises InvalidArgument for options that the recipe has not."""
    if recipe in RECIPES:
        for name in ("variant", "include", "snapshot"):
            if getattr(options, name):
                raise InvalidArgument(f"{recipe} has no {name}: that is of distributions, as in debian:bookworm")
        return None
    name, _, suite = recipe.partition(":")
    if not name or not suite or "/" in suite:
        there_is = ", ".join([*RECIPES, "NAME:SUITE, as in debian:bookworm"])
        raise InvalidArgument(f'unknown recipe "{recipe}" (there is: {there_is})')
    if options.suite:
        raise InvalidArgument(f"{recipe} names its suite: --suite is not for it")
    return distribution.wish(
        recipe,
        variant_name=options.variant or variants.DEFAULT,
        include=options.include,
        snapshot=options.snapshot,
        mirror=options.mirror,
        keyring=options.keyring,
        lack=options.lack,
    )


async def _fetch(
    names: tuple[str, ...], options: Options, machine: Machine, work: Path, report: Report
) -> tuple[dict[str, Package], list[Release]]:
    """Choose the packages and bring their files to ``work``, verified from the signature down."""
    configured = await in_thread(read_sources, machine)
    sources = choose_sources(configured, machine, mirror=options.mirror, suite=options.suite, keyring=options.keyring)
    now = datetime.now(UTC)
    async with Downloads(machine, report) as downloads:
        releases = [await fetch_release(source, machine, downloads, work, report, now) for source in sources]
        if not options.suite:
            releases = [release for release in releases if not release.not_automatic] or releases
        packages = await find_packages(names, releases, machine.architecture, downloads, work)
        await debs.fetch(packages.values(), downloads, work)
    return packages, releases


def _build(recipe: str, packages: Mapping[str, Package], releases: list[Release], machine: Machine, work: Path) -> Root:
    with tempfile.TemporaryFile(dir=work) as spool:
        tree = Tree(spool)
        try:
            files = {name: debs.opened(package, work) for name, package in packages.items()}
            RECIPES[recipe].lay_out(tree, files, work)
        except InvalidArgument as error:
            raise Unavailable(error.message) from error
        written = tree.write(work / "root.tar", tree.newest)
    debs.remove(packages.values(), work)
    platform = PLATFORMS[machine.architecture]
    return Root(
        tar=work / "root.tar",
        size=written.size,
        diff_id=written.diff_id,
        recipe=recipe,
        config=RECIPES[recipe].config(labels(recipe, packages.values(), releases)),
        architecture=platform.architecture,
        variant=platform.variant,
        created=datetime.fromtimestamp(tree.newest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        packages={name: str(package.version) for name, package in packages.items()},
    )
