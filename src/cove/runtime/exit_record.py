"""``exit.json``: how a container ended, for a daemon that was not there to be told."""

import os

from cove.runtime import messages

FILE_NAME = "exit.json"


def write(run_dir: str, exited: messages.Exited) -> None:
    """Write the record: it is there whole or not at all. The run root is in memory, so nothing is synced.

    Raises OSError.
    """
    path = f"{run_dir}/{FILE_NAME}"
    write_new(f"{path}.new", messages.encode(exited))
    os.rename(f"{path}.new", path)


def read(run_dir: str) -> messages.Exited | None:
    """The record, or None when there is none. Raises ValueError when it is damaged."""
    try:
        with open(f"{run_dir}/{FILE_NAME}", "rb") as file:
            message = messages.decode(file.read())
    except FileNotFoundError:
        return None
    if not isinstance(message, messages.Exited):
        raise ValueError(f"{run_dir}/{FILE_NAME} holds no exit record")
    return message


def write_new(path: str, content: bytes) -> None:
    """Write a file of the run directory, mode 0600."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, content)
    finally:
        os.close(file)
