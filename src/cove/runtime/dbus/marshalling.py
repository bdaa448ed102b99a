"""D-Bus values as bytes (D-Bus specification, "Marshaling" and "Message Format"); pure.

A value is an int, bool, float, str or bytes (``ay``), a list (array), a tuple (structure), a dict or a ``Variant``.
We write little endian and read both.
"""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

LARGEST = 1 << 27
"""Bytes of a message ("Message Format")."""

LARGEST_ARRAY = 1 << 26
_DEEPEST = 64  # containers in each other, as the specification allows
_NUMBERS = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "h": "I"}
_ALIGNMENT = {"y": 1, "g": 1, "v": 1, "n": 2, "q": 2, "x": 8, "t": 8, "d": 8, "(": 8, "{": 8}  # of others: 4


class Variant(NamedTuple):
    """A value that brings its type."""

    signature: str
    value: Any


def marshal(signature: str, values: Sequence[Any], before: bytes = b"") -> bytes:
    """``before``: what precedes it in the message, for alignment; part of the result. Raises ValueError."""
    out = bytearray(before)
    kinds = split(signature)
    if len(kinds) != len(values):
        raise ValueError(f"{len(values)} values for the signature {signature!r}")
    for kind, value in zip(kinds, values, strict=True):
        _write(out, kind, value)
    return bytes(out)


def split(signature: str) -> list[str]:
    """The complete types of a signature, one by one. Raises ValueError."""
    found, start = [], 0
    while start < len(signature):
        end = _end(signature, start, 0)
        found.append(signature[start:end])
        start = end
    return found


def _end(signature: str, start: int, depth: int) -> int:
    """Where the complete type that begins at ``start`` ends."""
    kind = signature[start : start + 1]
    if depth > _DEEPEST or not kind or kind not in "ybnqiuxtdhsogva({":
        raise ValueError(f"not a signature: {signature!r}")
    if kind == "a":
        return _end(signature, start + 1, depth + 1)
    if kind not in "({":
        return start + 1
    end, close = start + 1, ")" if kind == "(" else "}"
    while signature[end : end + 1] != close:
        end = _end(signature, end, depth + 1)
    return end + 1


def pad(out: bytearray, alignment: int) -> None:
    """Zeros up to a multiple of ``alignment``."""
    out += bytes(-len(out) % alignment)


def _write(out: bytearray, kind: str, value: Any) -> None:
    first = kind[0]
    pad(out, _ALIGNMENT.get(first, 4))
    if first in _NUMBERS:
        try:
            out += struct.pack("<" + _NUMBERS[first], value)
        except struct.error as error:
            raise ValueError(f"{value!r} is not of the type {kind}: {error}") from None
    elif first in "sog":
        _write_text(out, first, value)
    elif first == "v":
        _write_text(out, "g", value.signature)
        _write(out, value.signature, value.value)
    elif first == "a":
        _write_array(out, kind[1:], value)
    else:
        for each, part in zip(split(kind[1:-1]), value, strict=True):
            _write(out, each, part)


def _write_text(out: bytearray, kind: str, value: str) -> None:
    data = value.encode()
    if b"\0" in data:
        raise ValueError(f"a string with a zero byte: {value!r}")
    out += bytes([len(data)]) if kind == "g" else struct.pack("<I", len(data))
    out += data + b"\0"


def _write_array(out: bytearray, kind: str, values: Any) -> None:
    """The length does not count the padding before the first element."""
    place = len(out)
    out += bytes(4)
    pad(out, _ALIGNMENT.get(kind[0], 4))
    start = len(out)
    if kind == "y":
        out += values
    else:
        for value in values.items() if isinstance(values, dict) else values:
            _write(out, kind, value)
    out[place : place + 4] = struct.pack("<I", len(out) - start)


class Reader:
    """Values out of bytes that a stranger wrote: whatever they are, it ends with values or ValueError."""

    def __init__(self, data: bytes, *, big_endian: bool = False) -> None:
        self._data = data
        self._order = ">" if big_endian else "<"
        self.offset = 0

    def read(self, signature: str) -> list[Any]:
        """One value for each complete type of the signature. Raises ValueError."""
        return [self._read(kind, 0) for kind in split(signature)]

    def align(self, alignment: int) -> None:
        if any(self._take(-self.offset % alignment)):
            raise ValueError("padding that is not zero")

    def _take(self, size: int) -> bytes:
        end = self.offset + size
        if end > len(self._data):
            raise ValueError("the message ends too early")
        data = self._data[self.offset : end]
        self.offset = end
        return data

    def _number(self, code: str) -> Any:
        return struct.unpack(self._order + code, self._take(struct.calcsize("=" + code)))[0]

    def _read(self, kind: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("values too deep in each other")
        first = kind[0]
        self.align(_ALIGNMENT.get(first, 4))
        if first in _NUMBERS:
            number = self._number(_NUMBERS[first])
            return bool(number) if first == "b" else number
        if first in "sog":
            return self._text(first)
        if first == "v":
            return self._variant(depth)
        if first == "a":
            return self._array(kind[1:], depth)
        return tuple(self._read(each, depth + 1) for each in split(kind[1:-1]))

    def _text(self, kind: str) -> str:
        data = self._take(self._number("B" if kind == "g" else "I"))
        if self._take(1) != b"\0" or b"\0" in data:
            raise ValueError("a string that does not end with its only zero byte")
        return data.decode()

    def _variant(self, depth: int) -> Any:
        kinds = split(self._text("g"))
        if len(kinds) != 1:
            raise ValueError("a variant is one value")
        return self._read(kinds[0], depth + 1)

    def _array(self, kind: str, depth: int) -> Any:
        size = self._number("I")
        if size > LARGEST_ARRAY:
            raise ValueError("an array above 64 MiB")
        self.align(_ALIGNMENT.get(kind[0], 4))
        if kind == "y":
            return self._take(size)
        end, values = self.offset + size, []
        while self.offset < end:
            values.append(self._read(kind, depth + 1))
        if self.offset != end:
            raise ValueError("an array that ends within a value")
        return dict(values) if kind[0] == "{" else values
