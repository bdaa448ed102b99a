"""Docker's ``json-file`` records.

One JSON object per line: ``{"log":"text\\n","stream":"stdout","attrs":{…},"time":"2026-01-02T03:04:05.123456789Z"}``.
A line longer than 16 KiB is kept in pieces of that size, of which only the last ends in a newline; so is output whose
last line has none. Bytes that are not UTF-8 become U+FFFD, one each, and ``< > &`` are escaped, as Go's encoder does.
"""

import codecs
import os
import time
from collections.abc import Iterable
from functools import lru_cache
from io import StringIO
from json.encoder import encode_basestring  # in C

from cove.runtime.logs.lines import has_long_line, pieces

_LOG = '{"log":'
_LOOK = 1 << 16


# What Go escapes and Python's encoder does not, or writes in another way. Some pass the encoder as lone surrogates,
# which decoded UTF-8 never holds.
_BACKSPACE, _TAB, _FORM_FEED, _INVALID = "\udc08", "\udc09", "\udc0c", "\udcfd"
Escapes = tuple[tuple[str, str], ...]
_GO_ESCAPES: Escapes = (
    ("<", "\\u003c"),
    (">", "\\u003e"),
    ("&", "\\u0026"),
    ("\u2028", "\\u2028"),
    ("\u2029", "\\u2029"),
    (_BACKSPACE, "\\u0008"),
    (_TAB, "\\u0009"),
    (_FORM_FEED, "\\u000c"),
    (_INVALID, "\\ufffd"),
)


def _replace_each_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _INVALID * (error.end - error.start), error.end


codecs.register_error("cove.each-byte", _replace_each_byte)


class JsonRecords:
    """Makes records; ``attributes`` are in each of them."""

    header = b""

    def __init__(self, attributes: dict[str, str] | None = None) -> None:
        self._attributes = f',"attrs":{_attributes_json(attributes)}' if attributes else ""

    def records(self, stream: str, data: bytes, when: int) -> bytes:
        """The records of what ``Lines`` gave to keep together."""
        rest = f',"stream":"{stream}"{self._attributes},"time":"{_timestamp(when)}"}}\n'
        if has_long_line(data):
            return _joined(map(_decode, pieces(data)), rest, _GO_ESCAPES)
        if data.endswith(b"\n") and _is_simple(data):
            return _quick(data, rest.encode())
        text = _decode(data)
        return _joined(StringIO(text, newline="\n"), rest, _escapes_for(text))  # splits at \n only

    def fitting(self, records: bytes, room: int) -> int:
        """The length of the records that go into a file with so much room: it may pass its size by one."""
        return len(records) if len(records) <= room else records.index(b"\n", max(0, room - 1)) + 1

    def whole(self, descriptor: int, size: int) -> int:
        """The length up to the last newline."""
        while size > 0:
            start = max(0, size - _LOOK)
            found = os.pread(descriptor, size - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            size = start
        return 0


def _is_simple(data: bytes) -> bool:
    """Whether ``_quick`` can write it: UTF-8 without U+2028 and U+2029, and without controls that are rare in logs."""
    if data.translate(None, _COMMON):
        return False
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return not any(separator in data for separator in _SEPARATORS)


def _quick(data: bytes, rest: bytes) -> bytes:
    """The records of simple lines, by replacing: a few passes in C, however many lines there are."""
    for character, escaped in _QUICK_ESCAPES:
        if character in data:
            data = data.replace(character, escaped)
    head = _LOG.encode() + b'"'
    end = b'\\n"' + rest
    return head + data[:-1].replace(b"\n", end + head) + end


_QUICK_ESCAPES = (
    (b"\\", b"\\\\"),  # first: the others bring more of them
    (b'"', b'\\"'),
    (b"\t", b"\\u0009"),
    (b"\r", b"\\r"),
    (b"\x1b", b"\\u001b"),
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
)
_COMMON = bytes((*b"\t\n\r\x1b", *range(0x20, 0x100)))
_SEPARATORS = ("\u2028".encode(), "\u2029".encode())


def _joined(lines: Iterable[str], rest: str, escapes: Escapes) -> bytes:
    return (_LOG + _escape((rest + _LOG).join(map(encode_basestring, lines)), escapes) + rest).encode()


def _decode(data: bytes) -> str:
    text = data.decode("utf-8", "cove.each-byte")
    for control, kept in (("\b", _BACKSPACE), ("\t", _TAB), ("\f", _FORM_FEED)):
        if control in text:
            text = text.replace(control, kept)
    return text


def _escapes_for(text: str) -> Escapes:
    """Those that ``text`` needs: to look costs less than to replace nothing in the longer records."""
    return tuple(pair for pair in _GO_ESCAPES if pair[0] in text)


def _escape(text: str, escapes: Escapes = _GO_ESCAPES) -> str:
    for character, escaped in escapes:
        text = text.replace(character, escaped)
    return text


def _attributes_json(attributes: dict[str, str]) -> str:
    """Sorted, as Go writes a map."""
    pairs = (
        f"{encode_basestring(_decode(key.encode()))}:{encode_basestring(_decode(value.encode()))}"
        for key, value in sorted(attributes.items())
    )
    return _escape("{" + ",".join(pairs) + "}")


def _timestamp(when: int) -> str:
    """A time in UTC, with the nanoseconds' trailing zeros left out (Go's RFC3339Nano)."""
    seconds, nanoseconds = divmod(when, 1_000_000_000)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{_second(seconds)}{fraction}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
