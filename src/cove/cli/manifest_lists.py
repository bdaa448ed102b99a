"""Manifest lists that are being put together: a file for each, in the user's configuration directory."""

from __future__ import annotations

import json
import os

from cove.cli.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session

    Entry = dict[str, Any]
    """``Ref``: canonical name. ``Descriptor``: as it will be in the list."""

LIST_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"


def read(session: Session, name: str) -> list[Entry] | None:
    """The entries of a list by its canonical name, in their order; None when there is no such list."""
    try:
        with open(_path(session, name), encoding="utf-8") as file:
            entries: list[Entry] = json.load(file)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Failure(f"{_path(session, name)}: {error}") from error
    return entries


def entry(session: Session, name: str, member: str) -> Entry:
    """One entry of a list. Raises Failure when there is none."""
    found = next((each for each in read(session, name) or [] if each["Ref"] == member), None)
    if found is None:
        raise Failure(f"No such manifest: {member}")
    return found


def write(session: Session, name: str, entries: list[Entry]) -> None:
    """Keep a list; the file is there whole or as it was."""
    path = _path(session, name)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(entries, file, indent="\t")
    os.replace(temporary, path)


def remove(session: Session, name: str) -> bool:
    """Forget a list; whether there was one."""
    try:
        os.unlink(_path(session, name))
    except FileNotFoundError:
        return False
    return True


def as_index(entries: list[Entry]) -> Entry:
    """The list as a registry takes it."""
    descriptors = [entry["Descriptor"] for entry in entries]
    return {"schemaVersion": 2, "mediaType": LIST_TYPE, "manifests": descriptors}


def _path(session: Session, name: str) -> str:
    file = name.replace("/", "_").replace(":", "-") + ".json"
    return os.path.join(session.config_directory, "manifests", "cove", file)
