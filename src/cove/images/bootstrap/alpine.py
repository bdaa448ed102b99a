"""From ``alpine:v3.20`` to a root file system: packages of an apk mirror, by the same resolver, tree and workshop."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cove.errors import InvalidArgument, NotFound, Unavailable
from cove.images.bootstrap import apk, provenance
from cove.images.bootstrap.apk_index import ApkIndex, read_index
from cove.images.bootstrap.busybox import PATH
from cove.images.bootstrap.deb import DataEntry
from cove.images.bootstrap.distribution import Spool, Wish, finished
from cove.images.bootstrap.download import Downloads
from cove.images.bootstrap.index import Candidate
from cove.images.bootstrap.installed import LOG, WORK, stays
from cove.images.bootstrap.machine import PLATFORMS, Machine
from cove.images.bootstrap.progress import Progress, Report
from cove.images.bootstrap.resolve import resolve, wanted
from cove.images.bootstrap.root import Root
from cove.images.bootstrap.tree import Tree
from cove.images.bootstrap.variants import VARIANTS, Finish
from cove.images.bootstrap.workshop import Workshop
from cove.oci.image import Config
from cove.store import in_thread
from cove.urls import without_user

NAME = "alpine"
BASE = ("alpine-baselayout", "alpine-keys", "apk-tools", "busybox", "libc-utils")
"""What Alpine's own minimal root has."""

KEYS = Path("/etc/apk/keys")
REPOSITORY = "main"
MAX_INDEX = 64 << 20
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7", "i386": "x86", "ppc64el": "ppc64le"}
_SCRIPT = f"""
set -e
exec >{LOG} 2>&1
apk add --root / --initdb --no-network --no-cache --allow-untrusted /{WORK}/*.apk
"""


async def make(asked: Wish, machine: Machine, workshop: Workshop | None, work: Path, report: Report) -> Root:
    """The root. Raises as ``run.run`` does."""
    async with Downloads(machine, report) as downloads:
        index = await _index(asked, machine, downloads, report)
        chosen = resolve(index, wanted(index, [*(BASE if asked.variant.finish else ()), *asked.include]))
        if not chosen:
            raise InvalidArgument("include is needed: distroless has no packages of its own in Alpine")
        report(Progress("Resolved", f"{len(chosen)} packages"))
        with Spool(work / "spool") as spool:
            tree = Tree(spool.file)
            for candidate in chosen:
                await _unpack(tree, candidate, downloads, installs=asked.variant.finish is not None)
            if asked.variant.finish is None:
                return await in_thread(_root, asked, tree, chosen, machine, work)
            report(Progress("Configuring", f"{len(chosen)} packages"))
            made, other = await finished(tree, _finish(tree), workshop, work)
            with other:
                return await in_thread(_root, asked, made, chosen, machine, work)


async def _index(asked: Wish, machine: Machine, downloads: Downloads, report: Report) -> ApkIndex:
    if asked.variant is VARIANTS["slim"]:
        raise InvalidArgument("alpine has no variant slim: its packages have no documents")
    if not asked.mirror:
        raise InvalidArgument("mirror is needed for alpine: the URI above its releases")
    if asked.pins:
        raise InvalidArgument("invalid snapshot: an index of Alpine has no date")
    keys = Path(asked.keyring) if asked.keyring else KEYS
    if not keys.exists():
        raise NotFound(f"there are no keys of Alpine at {keys}: pass --keyring, a PEM file or a directory of them")
    architecture = _ARCHITECTURES.get(machine.architecture, machine.architecture)
    directory = f"{asked.mirror.rstrip('/')}/{asked.suite}/{REPOSITORY}/{architecture}"
    name = without_user(f"{directory}/APKINDEX.tar.gz")
    report(Progress("Reading index", asked.suite))
    content = await downloads.read(f"{directory}/APKINDEX.tar.gz", MAX_INDEX)
    if content is None:
        raise NotFound(f"{name} is missing: is the release's name right?")
    index = await in_thread(read_index, content, keys, directory, asked.suite, name)
    report(Progress("Signature verified", asked.suite))
    return index


async def _unpack(tree: Tree, candidate: Candidate, downloads: Downloads, *, installs: bool) -> None:
    package = candidate.package
    content = await downloads.read(package.url, package.expected.size)
    if content is None:
        raise Unavailable(f"{without_user(package.url)} is missing, though the index lists it")
    try:
        streams = apk.split(content, str(package))
        apk.check(streams, package.expected.sha256, str(package))
        await in_thread(_place, tree, streams, str(package))
    except InvalidArgument as error:
        raise Unavailable(error.message) from None
    if installs:
        tree.file(f"{WORK}/{package.name}.apk", content)


def _place(tree: Tree, streams: apk.Streams, name: str) -> None:
    tree.unpack_entries((DataEntry(info, content) for info, content in apk.entries(streams.data, name)), name)


def _finish(tree: Tree) -> Finish:
    environment = [f"PATH={PATH}", f"SOURCE_DATE_EPOCH={tree.newest}"]
    return Finish(
        ["/bin/busybox", "sh", "-c", _SCRIPT], environment, LOG, lambda path: stays(path, slim=False), _nothing
    )


def _nothing(tree: Tree) -> None:
    """Nothing of Alpine's depends on the day."""


def _root(asked: Wish, tree: Tree, chosen: Sequence[Candidate], machine: Machine, work: Path) -> Root:
    written = tree.write(work / "root.tar", tree.newest)
    platform = PLATFORMS[machine.architecture]
    shell = ["/bin/sh"] if tree.is_file("bin/busybox") else None
    labels = provenance.labels(asked.recipe, (candidate.package for candidate in chosen), [])
    return Root(
        tar=work / "root.tar",
        size=written.size,
        diff_id=written.diff_id,
        recipe=asked.recipe,
        config=Config(env=[f"PATH={PATH}"], cmd=shell, labels=labels),
        architecture=platform.architecture,
        variant=platform.variant,
        created=datetime.fromtimestamp(tree.newest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        packages={candidate.name: str(candidate.package.version) for candidate in chosen},
    )
