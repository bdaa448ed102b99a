"""Where the data of a sparse file goes: GNU's old format, and pax formats 0.0, 0.1 and 1.0 (GNU tar manual, D.2)."""

from cove.errors import InvalidArgument
from cove.layers.tar.header import BLOCK, Header, number
from cove.layers.tar.pax import Records
from cove.layers.tar.stream import ByteStream, Truncated

MAX_RUNS = 1 << 20
Runs = list[tuple[int, int]]


def apply_old(block: bytes, stream: ByteStream, header: Header) -> None:
    """Read the map of an ``S`` entry from its header and the blocks after it."""
    runs: Runs = []
    _read_runs(block[386:482], runs)
    extended = block[482]
    header.real_size = number(block[483:495], "realsize")
    while extended:
        more = stream.take(BLOCK)
        if not more:
            raise Truncated("unexpected end of input")
        _read_runs(more[:504], runs)
        extended = more[504]
        _bound(len(runs))
    _settle(header, runs, header.size)


def apply_pax(records: Records, stream: ByteStream, header: Header) -> bool:
    """Read the map of a pax sparse entry; False when it is none."""
    known = dict(records)
    if known.get("GNU.sparse.major") == b"1":
        runs, used = _read_text_map(stream, header.size)
        header.size -= used
        real = known.get("GNU.sparse.realsize")
    elif "GNU.sparse.map" in known:
        numbers = [_integer(part) for part in known["GNU.sparse.map"].split(b",") if part]
        runs = list(zip(numbers[::2], numbers[1::2], strict=False))
        real = known.get("GNU.sparse.size")
    elif "GNU.sparse.size" in known:
        offsets = [_integer(value) for key, value in records if key == "GNU.sparse.offset"]
        lengths = [_integer(value) for key, value in records if key == "GNU.sparse.numbytes"]
        runs = list(zip(offsets, lengths, strict=False))
        real = known.get("GNU.sparse.size")
    else:
        return False
    header.real_size = _integer(real or b"")
    _settle(header, runs, header.size)
    return True


def _read_runs(raw: bytes, runs: Runs) -> None:
    for at in range(0, len(raw), 24):
        if raw[at] == 0:
            return
        runs.append((number(raw[at : at + 12], "sparse offset"), number(raw[at + 12 : at + 24], "sparse length")))


def _read_text_map(stream: ByteStream, size: int) -> tuple[Runs, int]:
    """The map in front of the data of format 1.0, and how many bytes of the entry it took."""
    text, used, wanted = b"", 0, 1
    while text.count(b"\n") < wanted:
        block = stream.take(BLOCK) if used + BLOCK <= (size + BLOCK - 1) // BLOCK * BLOCK else b""
        if not block:
            raise InvalidArgument("invalid sparse map: no end")
        text += block
        used += BLOCK
        if wanted == 1 and b"\n" in text:
            wanted = 1 + 2 * _integer(text.partition(b"\n")[0])
            _bound(wanted // 2)
    numbers = [_integer(part) for part in text.split(b"\n")[1:wanted]]
    return list(zip(numbers[::2], numbers[1::2], strict=True)), used


def _settle(header: Header, runs: Runs, stored: int) -> None:
    _bound(len(runs))
    end = 0
    for offset, length in runs:
        if offset < end or offset + length > header.real_size:
            raise InvalidArgument("invalid sparse map: runs overlap or pass the end")
        end = offset + length
    if sum(length for _, length in runs) != stored:
        raise InvalidArgument("invalid sparse map: runs and data differ in size")
    header.data_runs = [(offset, length) for offset, length in runs if length]


def _integer(value: bytes) -> int:
    if not value.isdigit() or len(value) > 19:
        raise InvalidArgument("invalid sparse map: not a number")
    return int(value)


def _bound(runs: int) -> None:
    if runs > MAX_RUNS:
        raise InvalidArgument(f"invalid sparse map: more than {MAX_RUNS} runs")
