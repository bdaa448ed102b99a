"""The index of an Alpine repository: signed, and one block of lines for each package."""

import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cove.errors import InvalidArgument, Unavailable
from cove.images.bootstrap import apk
from cove.images.bootstrap.download import Expected
from cove.images.bootstrap.index import Candidate
from cove.images.bootstrap.packages import Package
from cove.images.bootstrap.relations import Group, Relation
from cove.images.bootstrap.version import Version

_RELATION = re.compile(r"(?P<name>[^<>=~]+)(?:(?P<operator><=|>=|<|>|=|~=?)(?P<version>.+))?")
_BEFORE = re.compile(r"_(alpha|beta|pre|rc)")
_DIGESTS = {"RSA": "sha1", "RSA256": "sha256"}
"""How the names of signatures begin, and with which hash they are made (apk-tools, "APKINDEX format")."""


@dataclass(frozen=True, eq=False)
class ApkCandidate(Candidate):
    """``fields``: the index's letters, and what they stand for."""

    @cached_property
    def depends(self) -> tuple[Group, ...]:
        return tuple((_relation(word),) for word in self.fields.get("D", "").split() if not word.startswith("!"))

    @cached_property
    def provides(self) -> tuple[Relation, ...]:
        return tuple(_relation(word) for word in self.fields.get("p", "").split())

    @cached_property
    def conflicts(self) -> tuple[Group, ...]:
        return tuple((_relation(word[1:]),) for word in self.fields.get("D", "").split() if word.startswith("!"))


class ApkIndex:
    """Meets what ``resolve`` needs of an index."""

    def __init__(self, blocks: Iterable[dict[str, str]], directory: str, suite: str) -> None:
        self._versions: defaultdict[str, list[Candidate]] = defaultdict(list)
        self._providers: defaultdict[str, set[str]] = defaultdict(set)
        for fields in blocks:
            candidate = _candidate(fields, directory, suite)
            self._versions[candidate.name].append(candidate)
            for relation in candidate.provides:
                self._providers[relation.name].add(candidate.name)
        for versions in self._versions.values():
            versions.sort(key=lambda each: each.package.version, reverse=True)

    def versions(self, name: str) -> list[Candidate]:
        return self._versions.get(name, [])

    def providers(self, name: str) -> list[Candidate]:
        return [self._versions[provider][0] for provider in sorted(self._providers.get(name, ()))]


def read_index(content: bytes, keys: Path, directory: str, suite: str, name: str) -> ApkIndex:
    """An index that one of the keys has signed. Raises Unavailable."""
    try:
        streams = apk.split(content, name)
        verify(streams, keys, name)
        text = apk.member(streams.control, "APKINDEX", name).decode(errors="replace")
        return ApkIndex((_fields(block) for block in text.split("\n\n") if block.strip()), directory, suite)
    except InvalidArgument as error:
        raise Unavailable(error.message) from None


def verify(streams: apk.Streams, keys: Path, name: str) -> None:
    """Raises Unavailable unless a key of the file, or of the directory, has signed the index."""
    candidates = sorted(keys.iterdir()) if keys.is_dir() else [keys]
    for info, content in apk.entries(streams.signature, name) if streams.signature else ():
        digest = _DIGESTS.get(info.name.removeprefix(".SIGN.").partition(".")[0])
        if digest and content is not None:
            signature = content.read(1 << 16)
            if any(_signed(streams.control, signature, key, digest) for key in candidates):
                return
    raise Unavailable(f"signature of {name} is not valid: none of the keys in {keys} has made it")


def _signed(content: bytes, signature: bytes, key: Path, digest: str) -> bool:
    with tempfile.NamedTemporaryFile() as file:
        file.write(signature)
        file.flush()
        command = ["openssl", "dgst", f"-{digest}", "-verify", str(key), "-signature", file.name]
        try:
            return subprocess.run(command, input=content, capture_output=True, check=False, timeout=30).returncode == 0
        except FileNotFoundError:
            raise Unavailable("openssl is needed to verify the signature of an Alpine mirror") from None


def _fields(block: str) -> dict[str, str]:
    return {line[0]: line[2:] for line in block.splitlines() if line[1:2] == ":"}


def _candidate(fields: dict[str, str], directory: str, suite: str) -> ApkCandidate:
    for letter in "PVASC":
        if not fields.get(letter):
            raise InvalidArgument(f"package {fields.get('P', '?')} has no field {letter}")
    if "/" in fields["P"] or "/" in fields["V"] or not fields["S"].isdecimal():
        raise InvalidArgument(f"package {fields['P'][:80]!r} has a bad name or size")
    url = f"{directory}/{fields['P']}-{fields['V']}.apk"
    package = Package(
        fields["P"], _version(fields["V"]), fields["A"], suite, url, Expected(int(fields["S"]), fields["C"])
    )
    return ApkCandidate(package, fields)


def _relation(word: str) -> Relation:
    match = _RELATION.fullmatch(word)
    if match is None:
        raise InvalidArgument(f"not a relation between packages: {word[:120]!r}")
    operator = {"<": "<<", ">": ">>", "~": ">=", "~=": ">="}.get(match["operator"] or "", match["operator"] or "")
    return Relation(match["name"], operator, _version(match["version"]) if match["version"] else None)


def _version(text: str) -> Version:
    """With Debian's signs for what comes before a release, the order of both is the same."""
    version = Version(_BEFORE.sub(r"~\1", text).replace("_", "+"))
    version.text = text
    return version
