"""No zero bytes: what goes to the kernel as a C string ends at one, and would mean something else there."""

from collections.abc import Iterator

import msgspec

from cove.errors import InvalidArgument

FREE_TEXT = frozenset({"labels", "annotations"})
"""Fields that the kernel never sees."""


def refuse(*requests: msgspec.Struct) -> None:
    """Raises InvalidArgument naming the first field with a zero byte in it: ``HostConfig.Binds[0]``."""
    for request in requests:
        for place in _places(request, ""):
            raise InvalidArgument(f"invalid value for {place.removeprefix('.')}: it has a NUL character")


def _places(value: object, place: str) -> Iterator[str]:
    if isinstance(value, str):
        if "\0" in value:
            yield place
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, f"{place}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _places(key, place)
            yield from _places(item, f"{place}.{key}")
    elif isinstance(value, msgspec.Struct):
        for field, name in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            if field not in FREE_TEXT:
                yield from _places(getattr(value, field), f"{place}.{name}")
