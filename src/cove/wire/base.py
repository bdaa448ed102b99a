"""The base of every wire struct: Go's field names, and which fields vanish when they are empty."""

from typing import ClassVar

import msgspec

_WORDS = {"id": "ID", "ids": "IDs", "ip": "IP", "ipv4": "IPv4", "ipv6": "IPv6", "ipam": "IPAM"}


def go_name(field: str) -> str:
    """The name that Docker's Go structs give a field: ``image_id`` → ``ImageID``, ``nano_cpus`` → ``NanoCpus``.

    A lone ``id`` is ``Id``. What follows no rule (``HostIp``, ``OOMKilled``) names itself with ``msgspec.field``.
    """
    if field == "id":
        return "Id"
    return "".join(_WORDS.get(word, word.capitalize()) for word in field.split("_"))


class Wire(msgspec.Struct, kw_only=True, rename=go_name):
    """A request or response body, or a part of one.

    ``omit_empty``: fields (by their Python names) that are left out of a response when they are empty, as Go's
    ``omitempty``. ``pointers``: structs that are left out only when they are None, not when they have nothing to show.
    ``words``: list fields that may also come as one string (Go's ``strslice``).
    """

    omit_empty: ClassVar[frozenset[str]] = frozenset()
    pointers: ClassVar[frozenset[str]] = frozenset()
    words: ClassVar[frozenset[str]] = frozenset()
