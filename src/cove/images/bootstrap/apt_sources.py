"""The package archives that this machine's apt is set up to use: sources.list(5), both of its formats."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cove.errors import InvalidArgument
from cove.images.bootstrap import deb822
from cove.images.bootstrap.machine import Machine, boolean

_FILE = re.compile(r"^[A-Za-z0-9_.-]+\.(list|sources)$")
_LINE = re.compile(r"^(?P<type>\S+)\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>.*)$")


@dataclass(frozen=True)
class Source:
    """One suite of one archive. ``uri``: what stands above ``dists/``, without a trailing slash.

    ``architectures``: empty means all. ``signed_by``: as configured (key files, fingerprints or a key block), "" if
    any key that apt trusts may sign. ``check_valid_until``: None if not said here. ``origin``: the file it is from.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    architectures: tuple[str, ...] = ()
    signed_by: str = ""
    check_valid_until: bool | None = None
    origin: str = ""


def read_sources(machine: Machine) -> list[Source]:
    """The binary-package sources of the machine, in apt's order. Raises InvalidArgument naming file and line."""
    apt = machine.etc / "apt"
    parts = apt / "sources.list.d"
    files = [apt / "sources.list"] if (apt / "sources.list").is_file() else []
    if parts.is_dir():
        files += sorted(path for path in parts.iterdir() if _FILE.match(path.name) and path.is_file())
    return [source for path in files for source in _read_file(path, machine.architecture)]


def _read_file(path: Path, architecture: str) -> Iterator[Source]:
    text = path.read_text(errors="replace")
    return (parse_sources if path.suffix == ".sources" else parse_list)(text, str(path), architecture)


def parse_sources(text: str, origin: str, architecture: str) -> Iterator[Source]:
    """The sources of a deb822 ``.sources`` file."""
    for paragraph in deb822.parse(text, origin):
        if "deb" not in paragraph.get("types", "").split() or boolean(paragraph.get("enabled", "yes")) is False:
            continue
        for required in ("uris", "suites"):
            if not paragraph.get(required):
                raise InvalidArgument(f"{origin}: an entry has no {required.capitalize()}")
        for uri in paragraph["uris"].split():
            for suite in paragraph["suites"].split():
                yield Source(
                    uri=_expand(uri, architecture).rstrip("/"),
                    suite=_expand(suite, architecture),
                    components=tuple(paragraph.get("components", "").split()),
                    architectures=tuple(paragraph.get("architectures", "").split()),
                    signed_by=paragraph.get("signed-by", "").strip(),
                    check_valid_until=boolean(paragraph.get("check-valid-until", "")),
                    origin=origin,
                )


def parse_list(text: str, origin: str, architecture: str) -> Iterator[Source]:
    """The sources of a one-line-style ``.list`` file."""
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if not entry or entry.startswith("deb-src"):
            continue
        if "cdrom:" not in entry:
            yield _parse_line(entry, f"{origin}:{number}", architecture)


def _parse_line(entry: str, where: str, architecture: str) -> Source:
    match = _LINE.match(entry)
    if not match or match["type"] != "deb":
        raise InvalidArgument(f"{where}: not a package source: {entry[:80]!r}")
    options = _parse_options(match["options"] or "", where)
    return Source(
        uri=_expand(match["uri"], architecture).rstrip("/"),
        suite=_expand(match["suite"], architecture),
        components=tuple(match["components"].split()),
        architectures=tuple(filter(None, options.get("arch", "").split(","))),
        signed_by=options.get("signed-by", ""),
        check_valid_until=boolean(options.get("check-valid-until", "")),
        origin=where,
    )


def _parse_options(text: str, where: str) -> dict[str, str]:
    options = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidArgument(f"{where}: option {word!r} has no value")
        options[name.lower().rstrip("+-")] = value
    return options


def _expand(value: str, architecture: str) -> str:
    return value.replace("$(ARCH)", architecture)
