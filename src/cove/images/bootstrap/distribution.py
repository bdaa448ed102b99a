"""From ``debian:bookworm`` to a root file system: the packages of a whole distribution, resolved and installed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cove.errors import InvalidArgument, NotFound, Unavailable, Unimplemented
from cove.images.bootstrap import debs, provenance
from cove.images.bootstrap.apt_sources import Source, read_sources
from cove.images.bootstrap.archive import COMPONENT, choose_sources, suite_sources
from cove.images.bootstrap.download import Downloads
from cove.images.bootstrap.index import Candidate, Index, read_indexes
from cove.images.bootstrap.machine import PLATFORMS, Machine
from cove.images.bootstrap.packages import Package
from cove.images.bootstrap.progress import Progress, Report
from cove.images.bootstrap.provenance import Pins
from cove.images.bootstrap.release import Release, fetch_release
from cove.images.bootstrap.root import Root
from cove.images.bootstrap.tree import Tree
from cove.images.bootstrap.variants import Finish, Variant, variant
from cove.images.bootstrap.workshop import Workshop
from cove.store import in_thread


@dataclass(frozen=True)
class Wish:
    """What is to be made. ``recipe``: ``NAME:SUITE``. ``lack``: why its programs cannot be run here."""

    recipe: str
    variant: Variant
    include: tuple[str, ...]
    pins: Pins
    mirror: str
    keyring: str
    lack: str

    @property
    def suite(self) -> str:
        return self.recipe.partition(":")[2]


def wish(
    recipe: str, *, variant_name: str, include: Sequence[str], snapshot: str, mirror: str, keyring: str, lack: str
) -> Wish:
    """Raises InvalidArgument that names the flag, Unimplemented for scripts that cannot run here."""
    chosen = variant(variant_name)
    if chosen.finish is not None and lack:
        raise Unimplemented(f"variant {variant_name} runs scripts of packages: {lack}; distroless needs none")
    names = tuple(name for word in include for name in word.replace(",", " ").split())
    return Wish(recipe, chosen, names, provenance.parse_pins(snapshot), mirror, keyring, lack)


async def make(asked: Wish, machine: Machine, workshop: Workshop | None, work: Path, report: Report) -> Root:
    """The root. Raises as ``run.run`` does."""
    releases, chosen = await _fetch(asked, machine, work, report)
    packages = [candidate.package for candidate in chosen]
    report(Progress("Unpacking", f"{len(packages)} packages"))
    tree, spool = await in_thread(_laid_out, asked, chosen, releases, work)
    with spool:
        finish = asked.variant.finish(tree, chosen) if asked.variant.finish else None
        if finish is not None:
            report(Progress("Configuring", f"{len(packages)} packages"))
            tree, other = await finished(tree, finish, workshop, work)
            with other:
                return await in_thread(_root, asked, tree, packages, releases, machine, work)
        return await in_thread(_root, asked, tree, packages, releases, machine, work)


async def _fetch(asked: Wish, machine: Machine, work: Path, report: Report) -> tuple[list[Release], list[Candidate]]:
    configured = await in_thread(read_sources, machine)
    sources = _sources(asked, configured, machine)
    async with Downloads(machine, report) as downloads:
        releases = await _releases(sources, asked, machine, downloads, work, report)
        provenance.check_pins(releases, asked.pins)
        index = await read_indexes(releases, (COMPONENT,), machine.architecture, downloads, work)
        try:
            chosen = await in_thread(_chosen, asked, index)
        finally:
            index.close()
        report(Progress("Resolved", f"{len(chosen)} packages"))
        await debs.fetch((candidate.package for candidate in chosen), downloads, work)
    return releases, chosen


def _chosen(asked: Wish, index: Index) -> list[Candidate]:
    return asked.variant.choose(index, asked.include)


def _sources(asked: Wish, configured: Sequence[Source], machine: Machine) -> list[Source]:
    if asked.mirror:
        found = choose_sources(configured, machine, mirror=asked.mirror, suite=asked.suite, keyring=asked.keyring)
    else:
        found = suite_sources(configured, machine, asked.suite, asked.keyring)
    return provenance.pinned(found, asked.pins)


async def _releases(
    sources: Sequence[Source], asked: Wish, machine: Machine, downloads: Downloads, work: Path, report: Report
) -> list[Release]:
    """The suite's own, which must be there, and those of its updates and security fixes, if there are any."""
    now = datetime.now(UTC)
    releases: list[Release] = []
    for source in sources:
        wanted = replace(source, check_valid_until=False) if source.suite in asked.pins else source
        try:
            releases.append(await fetch_release(wanted, machine, downloads, work, report, now))
        except NotFound:
            if source.suite == asked.suite or asked.pins:
                raise
    return releases


def _laid_out(
    asked: Wish, chosen: Sequence[Candidate], releases: Sequence[Release], work: Path
) -> "tuple[Tree, Spool]":
    spool = Spool(work / "spool")
    try:
        tree = Tree(spool.file)
        files = {candidate.name: debs.opened(candidate.package, work) for candidate in chosen}
        asked.variant.lay_out(tree, files, [release.source for release in releases])
    except InvalidArgument as error:
        spool.close()
        raise Unavailable(error.message) from error
    debs.remove((candidate.package for candidate in chosen), work)
    return tree, spool


class Spool:
    """The content of a tree, in a file that goes with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.file = path.open("w+b")

    def close(self) -> None:
        self.file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


async def finished(tree: Tree, finish: Finish, workshop: Workshop | None, work: Path) -> tuple[Tree, Spool]:
    """The tree after the packages' scripts have run in it."""
    if workshop is None:
        raise Unavailable("there is no engine here to run the packages' scripts")
    before, after = work / "before.tar", work / "after.tar"
    await in_thread(tree.write, before, tree.newest)
    await workshop.run(before, finish.argv, finish.environment, finish.log, after)
    before.unlink()
    return await in_thread(_read_back, after, finish, tree.newest, work)


def _read_back(tar: Path, finish: Finish, newest: int, work: Path) -> tuple[Tree, Spool]:
    spool = Spool(work / "finished")
    tree = Tree(spool.file)
    tree.newest = newest
    tree.take(tar, "the finished root", finish.keep)
    finish.complete(tree)
    tar.unlink()
    return tree, spool


def _root(
    asked: Wish, tree: Tree, packages: Sequence[Package], releases: list[Release], machine: Machine, work: Path
) -> Root:
    written = tree.write(work / "root.tar", tree.newest)
    platform = PLATFORMS[machine.architecture]
    return Root(
        tar=work / "root.tar",
        size=written.size,
        diff_id=written.diff_id,
        recipe=asked.recipe,
        config=asked.variant.config(tree, provenance.labels(asked.recipe, packages, releases)),
        architecture=platform.architecture,
        variant=platform.variant,
        created=datetime.fromtimestamp(tree.newest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        packages={package.name: str(package.version) for package in packages},
    )
