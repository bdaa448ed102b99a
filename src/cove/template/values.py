"""How Go sees a JSON value: its type's name, whether it is empty, how it prints."""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Record:
    """A value with named fields, some of them methods: what Docker's formatters give a template.

    ``type_name`` is the Go type in error messages. ``field`` raises KeyError for what it lacks; a callable is a method.
    """

    type_name = "*formatter.Context"

    def field(self, name: str) -> Any:
        raise KeyError(name)


class GoNil:
    """A typed nil: prints as ``text`` and is false."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


NIL_POINTER = GoNil("<nil>")
NIL_MAP = GoNil("map[]")
NIL_SLICE = GoNil("[]")


def type_name(value: object) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, Record):
        return value.type_name
    for python, name in _TYPES:
        if isinstance(value, python):
            return name
    return type(value).__name__


_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float64"),
    (str, "string"),
    (dict, "map[string]interface {}"),
    (list, "[]interface {}"),
)


def truth(value: object) -> bool:
    if isinstance(value, GoNil):
        return False
    return True if isinstance(value, Record) else bool(value)


def show(value: object, *, nested: bool = False) -> str:
    """``%v``"""
    if value is None:
        return "<nil>" if nested else "<no value>"
    if isinstance(value, GoNil):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return show_float(value)
    if isinstance(value, dict):
        pairs = (f"{key}:{show(value[key], nested=True)}" for key in sorted(value))
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, list):
        return f"[{' '.join(show(item, nested=True) for item in value)}]"
    return str(value)


def show_float(value: float) -> str:
    """The shortest text that reads back, with an exponent below 1e-4 and from 1e21 on."""
    if math.isinf(value) or math.isnan(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    if not 1e-4 <= abs(value) < 1e21:
        return _exponent(value)
    if value == int(value):
        return str(int(value))
    return repr(value) if "e" not in repr(value) else f"{value:.20f}".rstrip("0")


def _exponent(value: float) -> str:
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        mantissa, _, exponent = f"{value:.17e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{'-' if int(exponent) < 0 else '+'}{abs(int(exponent)):02d}"
