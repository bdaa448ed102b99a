"""What a template can call: Go's built-in functions and those that Docker adds.

A function raises ValueError with Go's words when it cannot be applied. ``and`` and ``or`` are in the evaluator, which
need not evaluate all their arguments.
"""

from __future__ import annotations

import json
import re

from cove.template.values import GoNil, Record, show, truth, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

LAZY = frozenset(("and", "or"))


def to_json(value: object, *, escape: bool = False) -> str:
    """Compact JSON as Go writes it; ``escape`` also escapes what HTML minds, as Go's plain encoder does."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    if escape:
        text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return text


def _plain(value: object) -> object:
    if isinstance(value, GoNil):
        return None
    if isinstance(value, Record):
        return {"": str(value)}
    return value


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            if not isinstance(key, str):
                raise ValueError(f"value has type {type_name(key)}; should be string")
            value = value.get(key)
        elif isinstance(value, list | str):
            value = _element(value, key)
        elif value is None or isinstance(value, GoNil):
            raise ValueError("index of untyped nil")
        else:
            raise ValueError(f"can't index item of type {type_name(value)}")
    return value


def _element(value: list[Any] | str, key: Any) -> Any:
    if not isinstance(key, int) or isinstance(key, bool):
        raise ValueError(f"cannot index slice/array with type {type_name(key)}")
    size = len(value.encode()) if isinstance(value, str) else len(value)
    if not 0 <= key < size:
        raise ValueError(f"index out of range: {key}")
    return value.encode()[key] if isinstance(value, str) else value[key]


def _slice(value: Any, *bounds: Any) -> Any:
    if isinstance(value, dict) or not isinstance(value, list | str):
        raise ValueError(f"can't slice item of type {type_name(value)}")
    if len(bounds) > (2 if isinstance(value, str) else 3):
        raise ValueError(f"too many slice indexes: {len(bounds)}")
    data = value.encode() if isinstance(value, str) else value
    low, high = [*bounds, 0][0] if bounds else 0, bounds[1] if len(bounds) > 1 else len(data)
    for bound in (low, high):
        if not isinstance(bound, int) or not 0 <= bound <= len(data):
            raise ValueError(f"index out of range: {show(bound)}")
    if low > high:
        raise ValueError(f"invalid slice index: {low} > {high}")
    return data[low:high].decode("utf-8", "replace") if isinstance(data, bytes) else data[low:high]


def _length(value: Any) -> int:
    if isinstance(value, GoNil) and value.text != "<nil>":
        return 0
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict | list):
        return len(value)
    raise ValueError("len of nil pointer" if value is None else f"len of type {type_name(value)}")


_BASIC = bool | int | float | str


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "none" if value is None or isinstance(value, GoNil) else ""


def _equal(first: object, *others: object) -> bool:
    if not others:
        raise ValueError("missing argument for comparison")
    for other in others:
        kinds = _kind(first), _kind(other)
        if "" in kinds:
            raise ValueError(f"non-comparable type {show(first)}: {type_name(first)}")
        if kinds[0] != kinds[1] and "none" not in kinds:
            raise ValueError("incompatible types for comparison")
        if kinds == ("none", "none") or (kinds[0] == kinds[1] and first == other):
            return True
    return False


def _less(first: Any, second: Any) -> bool:
    kinds = _kind(first), _kind(second)
    if kinds[0] != kinds[1]:
        raise ValueError("incompatible types for comparison")
    if kinds[0] not in ("number", "string"):
        raise ValueError("invalid type for comparison")
    return bool(first < second)


def _print(*values: Any) -> str:
    """``fmt.Sprint``: a space between two operands when neither is a string."""
    out = ""
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            out += " "
        out += show(value, nested=True)
    return out


_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d*|\*)(?:\.(?P<precision>\d*))?(?P<verb>.)", re.DOTALL)
_NAMES = {"int": "int", "string": "string", "bool": "bool", "float64": "float64"}


def _printf(form: Any, *values: Any) -> str:
    if not isinstance(form, str):
        raise ValueError(f"wrong type for value; expected string; got {type_name(form)}")
    rest = list(values)

    def replace(match: re.Match[str]) -> str:
        if match["verb"] == "%":
            return "%"
        starred = match["width"] == "*" and rest
        width = str(rest.pop(0)) if starred else match["width"].rstrip("*")
        if not rest:
            return f"%!{match['verb']}(MISSING)"
        text = _verb(match["verb"], match["flags"], match["precision"], rest.pop(0))
        return _padded(text, match["flags"], width)

    text = _VERB.sub(replace, form)
    extra = ", ".join(f"{type_name(value)}={show(value, nested=True)}" for value in rest)
    return f"{text}%!(EXTRA {extra})" if rest else text


def _verb(verb: str, flags: str, precision: str | None, value: Any) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    sign = "+" if "+" in flags else " " if " " in flags else ""
    if verb == "v":
        return show(value, nested=True)
    if verb == "s" and isinstance(value, str | list | dict | GoNil):
        text = show(value, nested=True)
        return text[: int(precision or 0)] if precision is not None else text
    if verb == "q" and isinstance(value, str):
        return to_json(value)
    if verb == "t" and isinstance(value, bool):
        return show(value)
    if verb in "dboxX" and whole:
        return format(value, f"{sign}{'#' if '#' in flags else ''}{verb}")
    if verb == "c" and whole:
        return chr(value)
    if verb in "xX" and isinstance(value, str):
        digits = value.encode().hex()
        return digits.upper() if verb == "X" else digits
    if verb in "feEgG" and isinstance(value, float):
        return format(value, f"{sign}.{precision if precision else 6 if verb in 'feE' else 17}{verb}")
    if verb == "T":
        return type_name(value)
    return f"%!{verb}({type_name(value)}={show(value, nested=True)})"


def _padded(text: str, flags: str, width: str) -> str:
    if not width:
        return text
    if "-" in flags:
        return text.ljust(int(width))
    if "0" in flags and text[:1] in "+-":
        return text[:1] + text[1:].rjust(int(width) - 1, "0")
    return text.rjust(int(width), "0" if "0" in flags else " ")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"wrong type for value; expected string; got {type_name(value)}")
    return value


def _join(values: Any, separator: Any) -> str:
    if isinstance(values, GoNil) or values is None:
        return ""
    if not isinstance(values, list):
        raise ValueError(f"expected slice, got {type_name(values)}")
    return _text(separator).join(show(value, nested=True) for value in values)


def _truncate(text: Any, size: Any) -> str:
    return _text(text)[:size] if len(_text(text)) > size else _text(text)


def _pad(text: Any, before: Any, after: Any) -> str:
    return " " * before + _text(text) + " " * after if _text(text) else _text(text)


def _title(text: Any) -> str:
    return re.sub(r"(^|[^\w'])(\w)", lambda match: match[1] + match[2].upper(), _text(text))


def _html(*values: Any) -> str:
    text = _print(*values)
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;")):
        text = text.replace(char, entity)
    return text


def _urlquery(*values: Any) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_print(*values))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "and": lambda *values: values[-1],
    "or": lambda *values: values[-1],
    "not": lambda value: not truth(value),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "printf": _printf,
    "println": lambda *values: " ".join(show(value, nested=True) for value in values) + "\n",
    "html": _html,
    "js": lambda *values: to_json(_print(*values), escape=True)[1:-1],
    "urlquery": _urlquery,
    "eq": _equal,
    "ne": lambda first, second: not _equal(first, second),
    "lt": _less,
    "le": lambda first, second: _less(first, second) or _equal(first, second),
    "gt": lambda first, second: not _less(first, second) and not _equal(first, second),
    "ge": lambda first, second: not _less(first, second),
    "json": to_json,
    "split": lambda text, separator: _text(text).split(_text(separator)) if separator else list(_text(text)),
    "join": _join,
    "title": _title,
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "pad": _pad,
    "truncate": _truncate,
}
