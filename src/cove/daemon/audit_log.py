"""The audit log: a line of JSON for each request that changes something, appended and rotated."""

import json
import logging
import os
from pathlib import Path

from cove.server.audit import AuditEntry
from cove.units import format_time

log = logging.getLogger(__name__)

MAX_SIZE = 20 << 20
"""Bytes of one file."""
MAX_FILES = 5


class AuditLog:
    """``path``, and older lines in ``path.1`` and so on. Root's alone. Writing is one append, without a sync."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when the file cannot be opened."""
        self._path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = self._open()
        self._size = os.fstat(self._file).st_size
        self._failing = False

    def close(self) -> None:
        os.close(self._file)

    def write(self, entry: AuditEntry) -> None:
        line = _line(entry)
        try:
            if self._size + len(line) > MAX_SIZE:
                self._rotate()
            self._size += os.write(self._file, line)
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.error("the audit log %s cannot be written: %s", self._path, error)
            self._failing = True

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _rotate(self) -> None:
        for number in range(MAX_FILES - 1, 0, -1):
            newer = self._path if number == 1 else self._numbered(number - 1)
            if newer.exists():
                newer.replace(self._numbered(number))
        os.close(self._file)
        self._file = self._open()
        self._size = 0

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _line(entry: AuditEntry) -> bytes:
    caller = {name: value for name, value in entry.caller._asdict().items() if value not in (None, "")}
    said = {
        "time": format_time(entry.started),
        **caller,
        **({"socket": entry.socket} if entry.socket else {}),
        "method": entry.method,
        "target": entry.target,
        "status": entry.status,
        "seconds": round(entry.seconds, 4),
        **({"message": entry.message} if entry.message else {}),
    }
    return json.dumps(said, ensure_ascii=True).encode() + b"\n"
