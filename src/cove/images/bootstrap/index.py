"""All packages of the releases that are used: by name, by what they provide, and those that every system has.

An index has some 60,000 stanzas. Those that are asked for are parsed; of the others only the place is kept, in a file.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from cove.errors import InvalidArgument, Unavailable
from cove.images.bootstrap import deb822
from cove.images.bootstrap.compression import Content
from cove.images.bootstrap.download import Downloads
from cove.images.bootstrap.packages import Package, fetch_index, parse_package, split_stanzas
from cove.images.bootstrap.relations import Group, Relation, parse_groups
from cove.images.bootstrap.release import Release
from cove.store import in_thread

_START = b"Package: "


@dataclass(frozen=True, eq=False)
class Candidate:
    """A version of a package that could be taken, with the fields of its stanza."""

    package: Package
    fields: deb822.Paragraph

    @property
    def name(self) -> str:
        return self.package.name

    @cached_property
    def pre_depends(self) -> tuple[Group, ...]:
        return parse_groups(self.fields.get("pre-depends", ""))

    @cached_property
    def depends(self) -> tuple[Group, ...]:
        """What must be there for it to work, before its installation or after."""
        return (*self.pre_depends, *parse_groups(self.fields.get("depends", "")))

    @cached_property
    def provides(self) -> tuple[Relation, ...]:
        return tuple(group[0] for group in parse_groups(self.fields.get("provides", "")))

    @cached_property
    def conflicts(self) -> tuple[Group, ...]:
        return parse_groups(f"{self.fields.get('conflicts', '')},{self.fields.get('breaks', '')}")

    @property
    def essential(self) -> bool:
        return self.fields.get("essential") == "yes"

    @property
    def required(self) -> bool:
        return self.essential or self.fields.get("priority") == "required"

    def meets(self, wanted: Relation) -> bool:
        """By its own name or one that it provides."""
        if self.name == wanted.name:
            return wanted.allows(self.package.version)
        return any(own.name == wanted.name and wanted.allows(own.version) for own in self.provides)


class Index:
    """``spool``: an empty file that takes the stanzas."""

    def __init__(self, spool: BinaryIO, architecture: str) -> None:
        self._spool = spool
        self._architecture = architecture
        self._releases: list[Release] = []
        self._places: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
        self._providers: defaultdict[str, set[str]] = defaultdict(set)
        self._required: set[str] = set()
        self._found: dict[str, list[Candidate]] = {}

    def add(self, release: Release, file: Path, where: str) -> None:
        """Take in a release's index, compressed as its name says. Raises Unavailable."""
        number = len(self._releases)
        self._releases.append(release)
        try:
            with file.open("rb") as opened:
                for stanza in split_stanzas(Content(opened, file.name)):
                    self._add(number, stanza)
        except (InvalidArgument, ValueError) as error:
            raise Unavailable(f"{where} cannot be read: {error}") from error

    def close(self) -> None:
        """Forget the stanzas; what was parsed stays."""
        self._spool.close()

    def find(self, name: str) -> Candidate | None:
        """The newest version of a package."""
        versions = self.versions(name)
        return versions[0] if versions else None

    def versions(self, name: str) -> list[Candidate]:
        """Of a package, the newest first; of equal ones that of the first release."""
        if name not in self._found:
            found = [self._parse(*place) for place in self._places.get(name, [])]
            fitting = [each for each in found if each.package.architecture in (self._architecture, "all")]
            self._found[name] = sorted(fitting, key=lambda each: each.package.version, reverse=True)
        return self._found[name]

    def providers(self, name: str) -> list[Candidate]:
        """The newest versions of packages that provide a name, by name."""
        found = (self.find(provider) for provider in sorted(self._providers.get(name, ())))
        return [each for each in found if each is not None]

    def required(self) -> list[Candidate]:
        """What every system has, by name: essential, or of priority required."""
        found = (self.find(name) for name in sorted(self._required))
        return [each for each in found if each is not None and each.required]

    def _add(self, number: int, stanza: bytes) -> None:
        if not stanza.startswith(_START):
            return
        name = stanza[len(_START) : stanza.index(b"\n")].decode("ascii", "replace")
        self._places[name].append((number, self._spool.tell(), len(stanza)))
        self._spool.write(stanza)
        if b"\nProvides: " in stanza:
            text = stanza.partition(b"\nProvides: ")[2].partition(b"\n")[0].decode("ascii", "replace")
            for word in text.split(","):
                self._providers[word.split("(")[0].split(":")[0].strip()].add(name)
        if b"\nEssential: yes" in stanza or b"\nPriority: required" in stanza:
            self._required.add(name)

    def _parse(self, number: int, offset: int, length: int) -> Candidate:
        end = self._spool.tell()
        self._spool.seek(offset)
        text = self._spool.read(length).decode(errors="replace")
        self._spool.seek(end)
        release = self._releases[number]
        try:
            package = parse_package(text, release, release.source.suite)
        except InvalidArgument as error:
            raise Unavailable(error.message) from error
        return Candidate(package, deb822.parse(text, package.name)[0])


async def read_indexes(
    releases: Sequence[Release], components: Iterable[str], architecture: str, downloads: Downloads, work: Path
) -> Index:
    """The indexes of all releases. A release without one of the components is passed over."""
    index = Index((work / "stanzas").open("w+b"), architecture)
    for number, release in enumerate(releases):
        for component in components:
            target = work / f"index-{number}-{component}"
            fetched = await fetch_index(release, component, architecture, downloads, target)
            await in_thread(index.add, release, fetched, f"{release.source.suite} {component} index")
            fetched.unlink()
    return index
