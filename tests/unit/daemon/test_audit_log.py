"""The audit log: what is appended, and when a file is full."""

import json
from pathlib import Path

import pytest

from cove.daemon import audit_log
from cove.daemon.audit_log import AuditLog
from cove.server.audit import AuditEntry
from cove.server.caller import Caller

_LINE = 400
"""Bytes that each line takes here, and a few more."""


def entry(number: int) -> AuditEntry:
    return AuditEntry(Caller(7, 0, 0), "", "POST", f"/containers/{number:0>250}/start", 204, 0, 0.5)


def numbers(path: Path) -> list[int]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [int(line["target"].split("/")[2]) for line in lines]


def test_full_files_are_kept_up_to_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "MAX_SIZE", 10 * _LINE)
    log = AuditLog(tmp_path / "audit.log")
    for number in range(100):
        log.write(entry(number))
    log.close()
    files = [tmp_path / "audit.log", *(tmp_path / f"audit.log.{age}" for age in range(1, audit_log.MAX_FILES))]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(0 < file.stat().st_size <= 10 * _LINE for file in files)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    kept = [number for file in reversed(files) for number in numbers(file)]
    assert kept == list(range(100 - len(kept), 100)), "the newest, none twice and none missing"


def test_a_later_daemon_appends(tmp_path: Path) -> None:
    for number in (1, 2):
        log = AuditLog(tmp_path / "audit.log")
        log.write(entry(number))
        log.close()
    assert numbers(tmp_path / "audit.log") == [1, 2]


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "audit.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        AuditLog(tmp_path / "audit.log")
