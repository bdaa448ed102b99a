"""The part of MessagePack that the forward protocol needs (github.com/msgpack/msgpack, spec.md)."""

import struct
from typing import NamedTuple


class EventTime(NamedTuple):
    """The forward protocol's time: extension type 0."""

    seconds: int
    nanoseconds: int


def pack(value: object) -> bytes:
    """Text, bytes (as text, whatever they are, as fluentd's other clients do), whole numbers, lists, maps."""
    out: list[bytes] = []
    _pack(value, out)
    return b"".join(out)


def _pack(value: object, out: list[bytes]) -> None:
    match value:
        case EventTime(seconds, nanoseconds):
            out.append(struct.pack(">BBII", 0xD7, 0, seconds, nanoseconds))
        case str():
            _pack_text(value.encode(errors="replace"), out)
        case bytes():
            _pack_text(value, out)
        case int():
            out.append(struct.pack(">BQ", 0xCF, value) if value > 0xFFFFFFFF else struct.pack(">BI", 0xCE, value))
        case list() | tuple():
            out.append(_sized(len(value), 0x90, 0xDC))
            for item in value:
                _pack(item, out)
        case dict():
            out.append(_sized(len(value), 0x80, 0xDE))
            for key, item in value.items():
                _pack(key, out)
                _pack(item, out)
        case _:
            raise TypeError(f"cannot be packed: {type(value).__name__}")


def _sized(length: int, short: int, long: int) -> bytes:
    return bytes((short | length,)) if length < 16 else struct.pack(">BH", long, length)


def _pack_text(data: bytes, out: list[bytes]) -> None:
    length = len(data)
    if length < 32:
        out.append(bytes((0xA0 | length,)))
    elif length < 1 << 8:
        out.append(struct.pack(">BB", 0xD9, length))
    elif length < 1 << 16:
        out.append(struct.pack(">BH", 0xDA, length))
    else:
        out.append(struct.pack(">BI", 0xDB, length))
    out.append(data)


def unpack_map(data: bytes) -> dict[str, str] | None:
    """A small map of texts; None while it is not there whole. Raises ValueError when it is something else."""
    if not data:
        return None
    if data[0] & 0xF0 != 0x80:
        raise ValueError("not a map")
    texts: list[str] = []
    at = 1
    for _ in range(2 * (data[0] & 0x0F)):
        end = _unpack_text(data, at, texts)
        if end is None:
            return None
        at = end
    return dict(zip(texts[::2], texts[1::2], strict=True))


_LENGTHS = {0xD9: ">B", 0xC4: ">B", 0xDA: ">H", 0xC5: ">H", 0xDB: ">I", 0xC6: ">I"}


def _unpack_text(data: bytes, at: int, texts: list[str]) -> int | None:
    """Read one text, or bytes; where it ends, None while it is not there."""
    if at >= len(data):
        return None
    kind = data[at]
    at += 1
    if kind & 0xE0 == 0xA0:
        length = kind & 0x1F
    elif kind in _LENGTHS:
        size = struct.calcsize(_LENGTHS[kind])
        if at + size > len(data):
            return None
        length = struct.unpack_from(_LENGTHS[kind], data, at)[0]
        at += size
    else:
        raise ValueError("not a text")
    if at + length > len(data):
        return None
    texts.append(data[at : at + length].decode(errors="replace"))
    return at + length
