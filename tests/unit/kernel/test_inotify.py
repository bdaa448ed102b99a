"""Events on files."""

import os
import select
from pathlib import Path

import pytest

from cove.kernel import inotify
from cove.kernel.inotify import Event, Inotify


def test_what_happens_to_a_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.touch()
    with Inotify() as events:
        assert events.read() == []
        watch = events.add(file, inotify.MODIFY | inotify.MOVE_SELF)
        place = events.add(tmp_path, inotify.CREATE | inotify.MOVED_FROM | inotify.MOVED_TO)
        file.write_text("x")
        file.rename(tmp_path / "log.1")
        assert select.select([events], [], [], 5)[0]
        assert events.read() == [
            Event(watch, inotify.MODIFY, ""),
            Event(place, inotify.MOVED_FROM, "log"),
            Event(place, inotify.MOVED_TO, "log.1"),
            Event(watch, inotify.MOVE_SELF, ""),
        ]
        events.remove(watch)
        assert [event.mask for event in events.read()] == [inotify.IGNORED]


def test_a_missing_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    with Inotify() as events, pytest.raises(FileNotFoundError, match="missing"):
        events.add(tmp_path / "missing", inotify.MODIFY)


def test_it_is_not_inherited() -> None:
    with Inotify() as events:
        assert not os.get_inheritable(events.fileno())
