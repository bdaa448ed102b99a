"""Package indexes: finding the newest version of a package in the releases of an archive."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cove.errors import InvalidArgument, NotFound, Unavailable
from cove.images.bootstrap import deb822
from cove.images.bootstrap.archive import COMPONENT
from cove.images.bootstrap.compression import Content, Readable
from cove.images.bootstrap.download import Downloads, Expected
from cove.images.bootstrap.release import Release
from cove.images.bootstrap.version import Version
from cove.store import in_thread
from cove.urls import without_user

_READ = 1 << 20
_MAX_STANZA = 1 << 20
_COMPRESSIONS = (".xz", ".gz", ".zst", "")


@dataclass(frozen=True)
class Package:
    """One version of a package. ``url``: of its .deb, which must be as ``expected``. ``suite``: where it was found."""

    name: str
    version: Version
    architecture: str
    suite: str
    url: str
    expected: Expected

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


async def find_packages(
    names: Iterable[str], releases: Sequence[Release], architecture: str, downloads: Downloads, work: Path
) -> dict[str, Package]:
    """The newest version of each named package over all releases. Raises NotFound naming those that are nowhere."""
    wanted = frozenset(names)
    newest: dict[str, Package] = {}
    for number, release in enumerate(releases):
        for package in await _offered(wanted, release, architecture, downloads, work / f"index-{number}"):
            best = newest.get(package.name)
            if best is None or package.version > best.version:
                newest[package.name] = package
    if missing := sorted(wanted - newest.keys()):
        suites = ", ".join(release.source.suite for release in releases)
        raise NotFound(f"there is no package {', '.join(missing)} for {architecture} in {suites}")
    return newest


async def _offered(
    wanted: frozenset[str], release: Release, architecture: str, downloads: Downloads, work: Path
) -> list[Package]:
    target = await fetch_index(release, COMPONENT, architecture, downloads, work)
    try:
        return await in_thread(_read_index, target, wanted, release, architecture)
    finally:
        target.unlink()


async def fetch_index(release: Release, component: str, architecture: str, downloads: Downloads, target: Path) -> Path:
    """Bring a component's index to ``target``, with its compression added to the name. Raises NotFound, Unavailable."""
    path = _index_path(release, component, architecture)
    target = target.with_name(f"{target.name}-{path.rpartition('/')[2]}")
    await _download_index(release, path, target, downloads)
    return target


def _index_path(release: Release, component: str, architecture: str) -> str:
    for suffix in _COMPRESSIONS:
        path = f"{component}/binary-{architecture}/Packages{suffix}"
        if path in release.files:
            return path
    raise NotFound(f"{without_user(release.directory)} has no packages for {architecture}")


async def _download_index(release: Release, path: str, target: Path, downloads: Downloads) -> None:
    """By its hash if it can be, so that a mirror that is being updated does no harm."""
    expected = release.files[path]
    directory = path.rpartition("/")[0]
    paths = [f"{directory}/by-hash/SHA256/{expected.sha256}"] if release.by_hash else []
    for candidate in [*paths, path]:
        if await downloads.save(f"{release.directory}/{candidate}", target, expected, f"{release.source.suite} index"):
            return
    raise Unavailable(f"{without_user(release.directory)}/{path} is missing, though the release lists it")


def _read_index(index: Path, wanted: frozenset[str], release: Release, architecture: str) -> list[Package]:
    where = f"{without_user(release.directory)}/{COMPONENT}/binary-{architecture}/Packages"
    try:
        with index.open("rb") as file:
            stanzas = list(find_stanzas(Content(file, index.name), wanted))
        found = [parse_package(stanza.decode(errors="replace"), release, where) for stanza in stanzas]
    except InvalidArgument as error:
        raise Unavailable(f"{where} cannot be read: {error}") from error
    return [package for package in found if package.architecture in (architecture, "all")]


def find_stanzas(index: Readable, wanted: frozenset[str]) -> Iterator[bytes]:
    """The stanzas of the wanted packages, reading an index in pieces. Each begins with its Package field."""
    starts = tuple(b"Package: %s\n" % name.encode() for name in wanted)
    return (stanza for stanza in split_stanzas(index) if stanza.startswith(starts))


def split_stanzas(index: Readable) -> Iterator[bytes]:
    """All stanzas of an index, which is read in pieces."""
    rest = b""
    while piece := index.read(_READ):
        *stanzas, rest = (rest + piece).split(b"\n\n")
        yield from stanzas
        if len(rest) > _MAX_STANZA:
            raise InvalidArgument(f"a stanza is larger than {_MAX_STANZA} bytes")
    if rest:
        yield rest


def parse_package(stanza: str, release: Release, where: str) -> Package:
    """A package of its stanza. Raises InvalidArgument naming a field that is missing or bad."""
    fields = deb822.parse(stanza, where)[0]
    for field in ("package", "version", "architecture", "filename", "size", "sha256"):
        if not fields.get(field):
            raise InvalidArgument(f"package {fields.get('package', '?')} has no field {field}")
    if not fields["size"].isdecimal():
        raise InvalidArgument(f"package {fields['package']} has a bad size: {fields['size'][:40]!r}")
    if fields["filename"].startswith("/") or ".." in fields["filename"].split("/"):
        raise InvalidArgument(f"package {fields['package']} has a bad filename: {fields['filename'][:120]!r}")
    return Package(
        name=fields["package"],
        version=Version(fields["version"]),
        architecture=fields["architecture"],
        suite=release.source.suite,
        url=f"{release.source.uri}/{fields['filename']}",
        expected=Expected(int(fields["size"]), fields["sha256"].lower()),
    )
