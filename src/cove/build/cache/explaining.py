"""Why a step was not found in the cache: what differs from the record that comes nearest. Pure but for the listings."""

from collections.abc import Mapping
from pathlib import Path

from cove.build.cache.cache import Parts, Record

UNUSED = "the cache is not used"
"""The reason of a step that is to be built anew, whatever the cache has."""
MOST_FILES = 20
"""Files that are named; there may be more that differ."""


def reasons(parts: Parts, nearest: Record | None, listings: Path, single: str = "") -> tuple[str, ...]:
    """One line for each input that differs, files by name with their digests.

    ``single``: what a file is called that is copied under a name of its own, and so has none in the listing.
    """
    if nearest is None:
        return ("no step like this has been built here",)
    found: list[str] = []
    for name in sorted({*parts.parts, *nearest.parts}):
        before, now = nearest.parts.get(name), parts.parts.get(name)
        if before == now:
            continue
        if name == "files" and nearest.listing:
            found += _files(listings / nearest.listing, listings / parts.listing, single)
        elif name == "files":  # the record is from elsewhere, and names no files
            found.append(f"files differ: {_short(before)} → {_short(now)}")
        elif name == "parent":
            found.append(
                _base(nearest.base, parts.base) or f"what it is built on differs: {_short(before)} → {_short(now)}"
            )
        elif name != "modes":
            found.append(_changed(name, before, now))
        elif nearest.parts.get("option --chmod") and parts.parts.get("option --chmod"):
            found.append("the record is of an older version, in which --chmod meant less")
    return tuple(found) or ("the record's layer is gone",)


def _base(before: str, now: str) -> str:
    """That the base image differs, where both steps are the first on one; nothing where it is the same."""
    (old, _, old_digest), (new, _, new_digest) = before.partition("@"), now.partition("@")
    if before == now or not old_digest or not new_digest:
        return ""
    if old != new:
        return f"base image differs: {old} {_short(old_digest)} → {new} {_short(new_digest)}"
    return f"base image {new} differs: {_short(old_digest)} → {_short(new_digest)}"


def _changed(name: str, before: str | None, now: str | None) -> str:
    if not before:
        return f"{name} is new: {_quoted(now)}"
    if not now:
        return f"{name} is gone: it was {_quoted(before)}"
    return f"{name} differs: {_quoted(before)} → {_quoted(now)}"


def _files(before: Path, now: Path, single: str) -> list[str]:
    old, new = _entries(before), _entries(now)
    found: list[str] = []
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):
            continue
        if len(found) == MOST_FILES:
            found.append("… and further files")
            break
        found.append(_file(name or single, old.get(name), new.get(name)))
    return found


def _file(name: str, before: tuple[str, str] | None, now: tuple[str, str] | None) -> str:
    shown = f"file {name}" if name else "the file"
    if before is None:
        assert now is not None
        return f"{shown} is new: {_short(now[1])}"
    if now is None:
        return f"{shown} is gone: it was {_short(before[1])}"
    if before[1] != now[1]:
        return f"{shown} differs: {_short(before[1])} → {_short(now[1])}"
    return f"{shown} has another mode or owner: {before[0]} → {now[0]}"


def _entries(listing: Path) -> Mapping[str, tuple[str, str]]:
    """Of each file its properties and its content."""
    try:
        text = listing.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return {}
    found = {}
    for line in text.splitlines():
        name, mode, owner, device, attributes, content = line.split("\t")
        found[name] = (" ".join(filter(None, (mode, owner, device, attributes))), content)
    return found


def _short(digest: str | None) -> str:
    if not digest:
        return "nothing"
    algorithm, _, rest = digest.rpartition(":")
    return f"{algorithm or 'sha256'}:{rest[:12]}" if len(rest) == 64 else digest


def _quoted(value: str | None) -> str:
    text = value or ""
    return f'"{text if len(text) <= 200 else text[:200] + "…"}"'
