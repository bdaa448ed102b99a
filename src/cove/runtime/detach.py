"""Detach keys: the keystrokes by which the user of an attached terminal leaves it without ending the program.

Docker's syntax: comma-separated single characters or ``ctrl-`` and one of ``a`` to ``z``, ``@ [ \\ ] ^ _``.
"""

_CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


class BadKeys(ValueError):
    """A text that names no detach keys."""


def parse(keys: str) -> bytes:
    """The bytes that a terminal sends for ``keys``; none for an empty text. Raises BadKeys."""
    return bytes(_code(key) for key in keys.split(",")) if keys else b""


def _code(key: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    character = key.removeprefix("ctrl-").lower()
    if key.startswith("ctrl-") and len(character) == 1 and character in _CONTROL:
        return _CONTROL.index(character)
    raise BadKeys(f"unknown character in detach keys: {key!r}")


class Detector:
    """Finds the keys in what the user types. A beginning of them is held back until it is clear what it is."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on of what was held back and of ``data``, and whether the keys are complete."""
        if not self._held and (not self._keys or self._keys[0] not in data):
            return data, False
        passed = bytearray()
        for byte in data:
            self._held += bytes((byte,))
            while not self._keys.startswith(self._held):
                passed.append(self._held[0])
                self._held = self._held[1:]
            if self._held == self._keys:
                self._held = b""
                return bytes(passed), True
        return bytes(passed), False
