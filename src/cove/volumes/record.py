"""What is stored of a volume, and the names that one may have."""

import re

import msgspec

from cove.errors import InvalidArgument
from cove.store import Table

LONGEST_NAME = 255
"""A volume's name is that of its directory (NAME_MAX)."""

LOCAL = "local"

_NAME = re.compile("[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class Volume(msgspec.Struct, frozen=True, omit_defaults=True):
    """``created``: nanoseconds since the epoch. ``anonymous``: made for one container, under a made-up name.

    ``renamed_from``: the name that its directory may still have, when the daemon ended before that was renamed.
    """

    name: str
    driver: str
    created: int
    options: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    anonymous: bool = False
    renamed_from: str = ""


VOLUMES: Table[Volume] = Table("volumes", Volume, ("name",), {"name": lambda volume: volume.name})


def check_name(name: str) -> None:
    """Raises InvalidArgument in Docker's words."""
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if len(name) > LONGEST_NAME:
        raise InvalidArgument(f"create {name}: volume name is longer than {LONGEST_NAME} characters")
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
