"""Values of log options, as Go reads them and with Go's words for what it cannot read."""

from cove.errors import InvalidArgument
from cove.units import parse_duration, parse_size

_TRUE = frozenset("1 t T TRUE true True".split())
_FALSE = frozenset("0 f F FALSE false False".split())


def boolean(text: str) -> bool:
    if text in _TRUE | _FALSE:
        return text in _TRUE
    raise InvalidArgument(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def number(text: str, function: str = "Atoi") -> int:
    digits = text[1:] if text[:1] in ("+", "-") and function == "Atoi" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise InvalidArgument(f'strconv.{function}: parsing "{text}": invalid syntax')
    return int(text)


def size(text: str) -> int:
    """Bytes."""
    return parse_size(text)


def duration(text: str) -> int:
    """Nanoseconds."""
    try:
        return parse_duration(text)
    except InvalidArgument as error:
        raise InvalidArgument(f'time: invalid duration "{text}"') from error
