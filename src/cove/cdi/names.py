"""Names of devices: ``vendor.com/class=name``."""

import re

_QUALIFIER = re.compile(r"[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?", re.ASCII)
_DEVICE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?", re.ASCII)


def is_kind(text: str) -> bool:
    """``vendor.com/class``: each begins with a letter and ends with a letter or digit; between them also ``_-.``."""
    vendor, slash, name = text.partition("/")
    return bool(slash and _QUALIFIER.fullmatch(vendor) and _QUALIFIER.fullmatch(name))


def is_device(text: str) -> bool:
    """The last part: as those of a kind, but it may begin with a digit and have colons."""
    return _DEVICE.fullmatch(text) is not None
