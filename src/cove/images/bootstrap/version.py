"""The order of Debian package versions (Debian Policy, 5.6.12)."""

import re
from functools import total_ordering

from cove.errors import InvalidArgument

_FORM = re.compile(r"(?:(?P<epoch>[0-9]+):)?(?P<upstream>[A-Za-z0-9.+~:-]+?)(?:-(?P<revision>[A-Za-z0-9.+~]+))?(?<!-)")
_PARTS = re.compile(r"([^0-9]*)([0-9]*)")

_Key = tuple[tuple[tuple[int, ...], int], ...]


@total_ordering
class Version:
    """A version, ordered as dpkg orders them. Raises InvalidArgument for what is no version."""

    def __init__(self, text: str) -> None:
        match = _FORM.fullmatch(text)
        if not match or (match["epoch"] is None and ":" in text):
            raise InvalidArgument(f"not a package version: {text[:80]!r}")
        self.text = text
        self._key = (int(match["epoch"] or 0), _order(match["upstream"]), _order(match["revision"] or "0"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: "Version") -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        return self.text


def _order(text: str) -> _Key:
    """Non-digits and numbers in turn. The 0 is the end of the non-digits: it sorts after "~" and before all else."""
    return tuple(((*map(_weight, letters), 0), int(digits or 0)) for letters, digits in _PARTS.findall(text))


def _weight(character: str) -> int:
    return -1 if character == "~" else ord(character) if character.isalpha() else ord(character) + 256
