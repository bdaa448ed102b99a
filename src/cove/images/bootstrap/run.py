"""From a recipe's name to a root file system."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cove.errors import InvalidArgument, Unavailable
from cove.images.bootstrap import busybox
from cove.images.bootstrap.apt_sources import read_sources
from cove.images.bootstrap.archive import choose_sources
from cove.images.bootstrap.deb import Deb
from cove.images.bootstrap.download import Downloads, without_password
from cove.images.bootstrap.machine import PLATFORMS, ImagePlatform, Machine
from cove.images.bootstrap.packages import Package, find_packages
from cove.images.bootstrap.progress import Progress, Report
from cove.images.bootstrap.release import Release, fetch_release
from cove.images.bootstrap.root import Root
from cove.images.bootstrap.tree import Tree, Written
from cove.oci.image import Config


class Recipe(NamedTuple):
    """What is made of which packages. ``lay_out(tree, debs by name, work directory)``, ``config(labels)``."""

    packages: tuple[str, ...]
    lay_out: Callable[[Tree, Mapping[str, Deb], Path], None]
    config: Callable[[dict[str, str]], Config]


RECIPES: dict[str, Recipe] = {"busybox": Recipe(busybox.PACKAGES, busybox.lay_out, busybox.config)}


_PREFIX = "bootstrap-"


@dataclass(frozen=True)
class Options:
    """Where packages come from, when not from where the machine's apt takes them.

    ``mirror``: the URI above ``dists/``. ``suite``: a suite or codename. ``keyring``: a file of OpenPGP keys, binary
    or armored. "" is: as apt is configured. ``work_dir``: where the files are made, the system's temporary directory
    if None. ``machine``: instead of the one this runs on.
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
    if recipe not in RECIPES:
        raise InvalidArgument(f'unknown recipe "{recipe}" (there is: {", ".join(RECIPES)})')
    machine = options.machine if options.machine else await asyncio.to_thread(Machine.detect)
    if machine.architecture not in PLATFORMS:
        raise InvalidArgument(f"images cannot name the architecture {machine.architecture}")
    work = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=options.work_dir))
    try:
        packages, releases = await _fetch(RECIPES[recipe].packages, options, machine, work, report)
        report(Progress("Unpacking", ", ".join(map(str, packages.values()))))
        return await asyncio.to_thread(_build, recipe, packages, releases, machine, work)
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
        raise


def remove_stale(work_dir: Path) -> None:
    """Remove what a killed daemon left in ``work_dir``. Only while nothing runs there: at start-up."""
    for directory in work_dir.glob(f"{_PREFIX}*"):
        shutil.rmtree(directory, ignore_errors=True)


async def _fetch(
    names: tuple[str, ...], options: Options, machine: Machine, work: Path, report: Report
) -> tuple[dict[str, Package], list[Release]]:
    """Choose the packages and bring their files to ``work``, verified from the signature down."""
    configured = await asyncio.to_thread(read_sources, machine)
    sources = choose_sources(configured, machine, mirror=options.mirror, suite=options.suite, keyring=options.keyring)
    now = datetime.now(UTC)
    async with Downloads(machine, report) as downloads:
        releases = [await fetch_release(source, machine, downloads, work, report, now) for source in sources]
        if not options.suite:
            releases = [release for release in releases if not release.not_automatic] or releases
        packages = await find_packages(names, releases, machine.architecture, downloads, work)
        for package in packages.values():
            if not await downloads.save(package.url, _deb_path(work, package), package.expected, str(package)):
                raise Unavailable(f"{without_password(package.url)} is missing, though the index lists it")
    return packages, releases


def _deb_path(work: Path, package: Package) -> Path:
    return work / f"{package.expected.sha256}.deb"


def _build(recipe: str, packages: Mapping[str, Package], releases: list[Release], machine: Machine, work: Path) -> Root:
    with tempfile.TemporaryFile(dir=work) as spool:
        tree = Tree(spool)
        try:
            debs = {name: _open_deb(package, work) for name, package in packages.items()}
            RECIPES[recipe].lay_out(tree, debs, work)
        except InvalidArgument as error:
            raise Unavailable(error.message) from error
        written = tree.write(work / "root.tar", tree.newest)
    for package in packages.values():
        _deb_path(work, package).unlink()
    return _root(recipe, packages, releases, PLATFORMS[machine.architecture], work / "root.tar", written, tree.newest)


def _open_deb(package: Package, work: Path) -> Deb:
    """The package's file, which must be the package that the index says it is."""
    deb = Deb(_deb_path(work, package), str(package))
    fields = deb.control()
    found = (fields.get("package"), fields.get("version"), fields.get("architecture"))
    if found != (package.name, str(package.version), package.architecture):
        raise InvalidArgument(f"{package} is another package: {' '.join(map(str, found))}")
    return deb


def _root(
    recipe: str,
    packages: Mapping[str, Package],
    releases: list[Release],
    platform: ImagePlatform,
    tar: Path,
    written: Written,
    made: int,
) -> Root:
    return Root(
        tar=tar,
        size=written.size,
        diff_id=written.diff_id,
        recipe=recipe,
        config=RECIPES[recipe].config(_labels(recipe, packages, releases)),
        architecture=platform.architecture,
        variant=platform.variant,
        created=datetime.fromtimestamp(made, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        packages={name: str(package.version) for name, package in packages.items()},
    )


def _labels(recipe: str, packages: Mapping[str, Package], releases: list[Release]) -> dict[str, str]:
    """Where the content is from, without the mirror: which one served it makes no difference."""
    suites = {package.suite for package in packages.values()}
    dates = {r.source.suite: r.date.strftime("%Y-%m-%dT%H:%M:%SZ") for r in releases if r.source.suite in suites}
    return {
        "cove.bootstrap.packages": " ".join(f"{name}={package.version}" for name, package in sorted(packages.items())),
        "cove.bootstrap.recipe": recipe,
        "cove.bootstrap.snapshot": " ".join(f"{suite}={date}" for suite, date in sorted(dates.items())),
    }
