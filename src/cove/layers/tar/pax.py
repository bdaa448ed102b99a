"""Extended headers of the pax format: ``length key=value`` records that override the block's fields."""

from cove.errors import InvalidArgument
from cove.layers.tar.header import Header

Records = list[tuple[str, bytes]]
XATTR = "SCHILY.xattr."


def parse(data: bytes) -> Records:
    """The records, in order (sparse maps repeat keys). Raises InvalidArgument when they are malformed."""
    records: Records = []
    while data:
        length, space, _ = data.partition(b" ")
        if not space or not length.isdigit() or len(length) > 9:
            if not data.strip(b"\0"):
                break
            raise InvalidArgument("invalid pax header: no record length")
        end = int(length)
        record = data[len(length) + 1 : end]
        key, equals, value = record.partition(b"=")
        if end > len(data) or not equals or b"\0" in key or not record.endswith(b"\n"):
            raise InvalidArgument("invalid pax header: malformed record")
        records.append((key.decode("utf-8", "surrogateescape"), value[:-1]))
        data = data[end:]
    return records


def apply(records: Records, header: Header) -> None:
    """Let the records override the header's fields. Raises InvalidArgument naming a bad record."""
    for key, value in records:
        if not value and not key.startswith(XATTR):  # an empty value takes a global record back
            continue
        if key in ("path", "GNU.sparse.name"):
            header.name = _name(key, value)
        elif key == "linkpath":
            header.link = _name(key, value)
        elif key == "size":
            header.size = header.real_size = _integer(key, value)
        elif key == "uid":
            header.uid = _integer(key, value)
        elif key == "gid":
            header.gid = _integer(key, value)
        elif key == "mtime":
            header.mtime = _nanoseconds(key, value)
        elif key.startswith(XATTR):
            header.xattrs[key[len(XATTR) :].encode("utf-8", "surrogateescape")] = value


def _name(key: str, value: bytes) -> bytes:
    if b"\0" in value:
        raise InvalidArgument(f"invalid pax header: {key} has a NUL in it")
    return value


def _integer(key: str, value: bytes) -> int:
    if not value.isdigit() or len(value) > 19:
        raise InvalidArgument(f"invalid pax header: {key} is not a number")
    return int(value)


def _nanoseconds(key: str, value: bytes) -> int:
    whole, _, fraction = value.partition(b".")
    digits = whole.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 15 or (fraction and not fraction.isdigit()):
        raise InvalidArgument(f"invalid pax header: {key} is not a time")
    part = int(fraction[:9].ljust(9, b"0")) if fraction else 0
    total = int(digits) * 1_000_000_000 + part
    return -total if whole.startswith(b"-") else total
