"""The framing of attach, exec and logs without a terminal: one byte of stream kind, three zero, four of length.

Source: Engine API, "Stream format" of ContainerAttach.
"""

from __future__ import annotations

from cove.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STDIN, STDOUT, STDERR, SYSTEM = range(4)
HEADER = 8


class Splitter:
    """Feed it bytes as they arrive; it gives ``(kind, payload)`` pieces as early as it can, without whole frames."""

    __slots__ = ("_head", "_kind", "_left")

    def __init__(self) -> None:
        self._head = b""
        self._kind = STDOUT
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Raises Unavailable when the bytes are not this framing, or carry an error of the daemon."""
        start = 0
        while start < len(data):
            if self._left:
                piece = data[start : start + self._left]
                self._left -= len(piece)
                start += len(piece)
                yield self._kind, piece
                continue
            wanted = HEADER - len(self._head)
            self._head += data[start : start + wanted]
            start += wanted
            if len(self._head) == HEADER:
                self._begin()

    def _begin(self) -> None:
        if self._head[0] > SYSTEM:
            raise Unavailable(f"unrecognized stream kind: {self._head[0]}")
        self._kind = self._head[0]
        self._left = int.from_bytes(self._head[4:8], "big")
        self._head = b""


def split(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The frames of a whole stream."""
    splitter = Splitter()
    for piece in pieces:
        yield from splitter.feed(piece)
