"""Differences as lines of JSON, as jobs write them to a pipe and coved reads them: there may be a million."""

from collections.abc import AsyncIterator, Iterable

import msgspec

from cove.layers.worker.jobs import Difference

_decode_lines = msgspec.json.Decoder(Difference).decode_lines


def write_lines(output: int, found: Iterable[Difference]) -> None:
    """To a descriptor, which is closed. Raises OSError."""
    encoder = msgspec.json.Encoder()
    with open(output, "wb", buffering=1 << 16) as pipe:
        for difference in found:
            pipe.write(encoder.encode(difference) + b"\n")


async def read_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[Difference]]:
    """The differences of each chunk that has a line's end."""
    rest = b""
    async for chunk in chunks:
        whole, end, last = chunk.rpartition(b"\n")
        if end:
            yield _decode_lines(rest + whole)
            rest = last
        else:
            rest += chunk
