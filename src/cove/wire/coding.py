"""Reading requests and writing responses as Go's ``encoding/json`` does, with msgspec's speed.

Go ignores the case of keys, takes null for an absent field, one string where a ``strslice`` is expected, and leaves
out empty fields that say so. What differs from msgspec is worked out once for each type, from its fields.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from cove.errors import InvalidArgument
from cove.wire import versions
from cove.wire.base import Wire

T = TypeVar("T", bound=Wire)
Walk = Callable[[Any], Any]

_INT64 = 1 << 63


def decode(body: bytes | str, kind: type[T], version: versions.ApiVersion = versions.NEWEST) -> T:
    """The request in a JSON body, as ``version`` of the API has it. Raises InvalidArgument naming the field.

    As with Go, fields that are not known are ignored, and of a key that comes twice the last value counts.
    """
    try:
        return msgspec.convert(_reader(kind, version)(msgspec.json.decode(body)), kind)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"invalid JSON: {_in_our_words(str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from error
    except RecursionError:
        raise InvalidArgument("invalid JSON: nested too deeply") from None


def encode(value: Wire | Sequence[Wire], version: versions.ApiVersion = versions.NEWEST) -> bytes:
    """The JSON of a response, as ``version`` of the API shows it; one line, with its newline."""
    if isinstance(value, Wire):
        return msgspec.json.encode(_trimmed(value, version)) + b"\n"
    return msgspec.json.encode([_trimmed(item, version) for item in value]) + b"\n"


def _trimmed(value: Wire, version: versions.ApiVersion) -> Any:
    trim = _trimmer(type(value), version)
    return value if trim is None else trim(msgspec.to_builtins(value))


def _in_our_words(text: str) -> str:
    """``Expected `int`, got `str` - at `$.HostConfig.Memory``` → ``HostConfig.Memory: expected int, got str``."""
    problem, _, path = text.partition(" - at ")
    problem = problem.replace("`", "")
    path = path.strip("`").removeprefix("$").removeprefix(".")
    problem = problem[:1].lower() + problem[1:]
    return f"{path}: {problem}" if path else problem


# Reading


@lru_cache(maxsize=1024)
def _reader(kind: type[Wire], version: versions.ApiVersion) -> Walk:
    walk = _read(inspect.type_info(kind), version)
    assert walk is not None
    return walk


def _read(node: inspect.Type, version: versions.ApiVersion) -> Walk | None:
    """What to do with a decoded value before it is converted to the type; None is nothing."""
    match node:
        case inspect.StructType():
            return _struct_reader(node, version)
        case inspect.ListType():
            return _list_walk(_read(node.item_type, version))
        case inspect.DictType():
            return _dict_reader(node.value_type, version)
        case inspect.IntType():
            return _bounded
        case inspect.UnionType():
            walks = [walk for walk in (_read(option, version) for option in node.types) if walk is not None]
            return walks[0] if walks else None
    return None


def _struct_reader(node: inspect.StructType, version: versions.ApiVersion) -> Walk:
    words: frozenset[str] = getattr(node.cls, "words", frozenset())
    unseen = _unseen(node.cls, version)
    fields = {
        field.encode_name: _field_reader(field.type, field.name in words, version)
        for field in node.fields
        if field.encode_name not in unseen
    }
    nullable = {field.encode_name for field in node.fields if _accepts_none(field.type)}
    folded = {name.lower(): name for name in fields}

    def walk(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        known: dict[str, Any] = {}
        for key, item in value.items():
            name = key if key in fields else folded.get(key.lower())
            if name is None or (item is None and name not in nullable):
                continue
            read = fields[name]
            known[name] = item if read is None or item is None else _named(name, read, item)
        return known

    return walk


def _named(name: str, read: Walk, item: Any) -> Any:
    try:
        return read(item)
    except OverflowError:
        raise InvalidArgument(f"invalid JSON: {name}: the number is out of range") from None


def _unseen(kind: type, version: versions.ApiVersion) -> set[str]:
    """The fields that this version does not have yet, or no more."""
    later = {name for name, since in versions.ADDED.get(kind, {}).items() if version < since}
    return later | {name for name, gone in versions.REMOVED.get(kind, {}).items() if version >= gone}


def _field_reader(node: inspect.Type, words: bool, version: versions.ApiVersion) -> Walk | None:
    read = _read(node, version)
    if not words:
        return read
    return lambda item: [item] if isinstance(item, str) else item


def _list_walk(each: Walk | None) -> Walk | None:
    if each is None:
        return None
    return lambda value: [each(item) for item in value] if isinstance(value, list) else value


def _dict_reader(node: inspect.Type, version: versions.ApiVersion) -> Walk | None:
    each, zero, nullable = _read(node, version), _zero(node), _accepts_none(node)

    def walk(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            key: (item if nullable else zero) if item is None else each(item) if each else item
            for key, item in value.items()
        }

    return walk


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise OverflowError
    return value


def _accepts_none(node: inspect.Type) -> bool:
    if isinstance(node, inspect.UnionType):
        return any(_accepts_none(option) for option in node.types)
    return isinstance(node, inspect.NoneType | inspect.AnyType)


def _zero(node: inspect.Type) -> Any:
    """Go's zero value, as JSON."""
    match node:
        case inspect.StrType():
            return ""
        case inspect.BoolType():
            return False
        case inspect.IntType() | inspect.FloatType():
            return 0
        case inspect.ListType():
            return []
        case inspect.StructType() | inspect.DictType():
            return {}
    return None


# Writing


@lru_cache(maxsize=2048)
def _trimmer(kind: type[Wire], version: versions.ApiVersion) -> Walk | None:
    """What to take out of a response of this type; None when all of it stays."""
    return _trim(inspect.type_info(kind), version)


def _trim(node: inspect.Type, version: versions.ApiVersion) -> Walk | None:
    match node:
        case inspect.StructType():
            return _struct_trimmer(node, version)
        case inspect.ListType():
            return _list_walk(_trim(node.item_type, version))
        case inspect.DictType():
            return _dict_trimmer(_trim(node.value_type, version))
        case inspect.UnionType():
            walks = [walk for walk in (_trim(option, version) for option in node.types) if walk is not None]
            return walks[0] if walks else None
    return None


def _struct_trimmer(node: inspect.StructType, version: versions.ApiVersion) -> Walk | None:
    optional: frozenset[str] = getattr(node.cls, "omit_empty", frozenset())
    lately = {name for name, since in versions.OMITTED.get(node.cls, {}).items() if version >= since}
    pointers: frozenset[str] = getattr(node.cls, "pointers", frozenset())
    omitted = [
        (field.encode_name, _accepts_none(field.type))
        for field in node.fields
        if (field.name in optional or field.encode_name in lately) and field.name not in pointers
    ]
    pointed = [field.encode_name for field in node.fields if field.name in pointers]
    unseen = _unseen(node.cls, version)
    copied = [(name, source) for name, (source, gone) in versions.COPIED.get(node.cls, {}).items() if version < gone]
    extended = [(name, other) for name, (other, gone) in versions.EXTENDED.get(node.cls, {}).items() if version < gone]
    nested = [
        (field.encode_name, walk)
        for field, walk in ((field, _trim(field.type, version)) for field in node.fields)
        if walk is not None
    ]
    if not (omitted or pointed or unseen or copied or extended or nested):
        return None

    def walk(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        for name, step in nested:
            value[name] = step(value[name])
        for name, source in copied:
            value[name] = value[source]
        for name, other in extended:
            value[name] = list(dict.fromkeys([*(value[name] or ()), *(value[other] or ())[1:]])) or value[name]
        for name in unseen:
            value.pop(name, None)
        for name in pointed:
            if value.get(name) is None:
                value.pop(name, None)
        for name, pointer in omitted:
            if name in value and _is_empty(value[name], pointer):
                del value[name]
        return value

    return walk


def _is_empty(value: Any, pointer: bool) -> bool:
    """Go's rule: a pointer (what may be None here) is empty when it is nil; a list or map, when it has no items."""
    if value is None:
        return True
    return not value and (not pointer or isinstance(value, list | dict))


def _dict_trimmer(each: Walk | None) -> Walk | None:
    if each is None:
        return None
    return lambda value: {key: each(item) for key, item in value.items()} if isinstance(value, dict) else value
