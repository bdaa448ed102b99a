"""JSON by the standard library's C code, without the Python around it, which is half of its import (``re``).

Text that is not JSON goes to the standard library, for its words.
"""

from _json import encode_basestring_ascii, make_encoder, make_scanner

from cove.lean import Any, Callable

_SPACE = " \t\n\r"


class _Reading:
    """How values are read: as ``json.loads`` does without arguments."""

    strict = True
    object_hook = object_pairs_hook = memo = None
    parse_float = float
    parse_int = int
    parse_constant = float


_scan: Callable[[str, int], tuple[Any, int]] = make_scanner(_Reading)  # type: ignore[arg-type]  # any object with these attributes


def loads(text: bytes | str) -> Any:
    """The value of a JSON text in UTF-8. Raises ValueError."""
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        stripped = decoded.strip(_SPACE)
        value, end = _scan(stripped, 0)
        if end == len(stripped):
            return value
    except (StopIteration, ValueError, SystemError):  # the last: its error is of a module that is not imported
        pass
    import json

    return json.loads(text)


def _refuse(value: object) -> object:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def encoder(between: str = ", ", after_key: str = ": ", *, sort_keys: bool = False) -> Callable[[Any], str]:
    """A function that writes values as ``json.dumps`` does. It raises TypeError for what JSON does not have."""
    write = make_encoder(None, _refuse, encode_basestring_ascii, None, after_key, between, sort_keys, False, True)
    return lambda value: "".join(write(value, 0))


dumps = encoder()
sorted_dumps = encoder(sort_keys=True)
