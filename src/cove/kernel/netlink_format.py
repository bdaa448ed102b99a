"""Messages of netlink and the attributes in them, as the kernel encodes them (linux/netlink.h)."""

import struct

HEADER = struct.Struct("=IHHII")
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
ERROR, DONE = 2, 3
NESTED = 0x8000
RECEIVE_BYTES = 1 << 16

_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF  # the top bits of an attribute's type are flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A request."""
    return HEADER.pack(HEADER.size + len(body), kind, flags | REQUEST, sequence, 0) + body


def messages(data: bytes) -> "Iterator[tuple[int, int, int, bytes]]":
    """Kind, flags, sequence and body of each message of a datagram."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, sequence, _port = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            return
        yield kind, flags, sequence, data[offset + HEADER.size : offset + length]
        offset += length + (-length % 4)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded; one that holds others has NESTED in its kind where the kernel asks for it."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def attributes(data: bytes, offset: int = 0) -> "Iterator[tuple[int, bytes]]":
    """Kind, without flags, and value of each attribute from a place on."""
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]
        offset += length + (-length % 4)
