"""Volumes in the trash: what is kept of one beside its directory."""

import secrets
import time

import msgspec

from cove.trash import Entry
from cove.volumes import Volume

KIND = "volume"


def entry(volume: Volume, directory: str) -> Entry:
    """The entry of a volume that is being removed. ``directory``: relative to the data root."""
    return Entry(
        id=secrets.token_hex(32),
        kind=KIND,
        name=volume.name,
        removed=time.time_ns(),
        directories=[directory],
        content=msgspec.Raw(msgspec.json.encode(volume)),
    )


def kept(entry: Entry) -> Volume:
    return msgspec.json.decode(entry.content, type=Volume)
