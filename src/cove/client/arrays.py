"""A JSON array of objects that is read while it comes: what is held is a piece of it, however long it is."""

from __future__ import annotations

import codecs
import json

from cove.client.http import BrokenAnswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

_BETWEEN = "[, \t\r\n"


def array_items(pieces: Iterable[bytes]) -> Iterator[Any]:
    """The objects of an array, or of ``null``, which has none. Raises BrokenAnswer when the array has no end."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    scan = json.JSONDecoder().raw_decode
    rest = ""
    for piece in pieces:
        rest += decode(piece)
        at = 0
        while (at := _next(rest, at)) < len(rest):
            try:
                item, at = scan(rest, at)
            except ValueError:  # the rest of it is still to come
                break
            if item is None:
                return
            yield item
        rest = rest[at:]
    if rest.rstrip() != "]":
        raise BrokenAnswer("the daemon closed the connection in the middle of a response")


def _next(text: str, at: int) -> int:
    """Where the next object begins, or the array ends."""
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at
