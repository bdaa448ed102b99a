"""``--storage-opt size=``: how much a container may write to its root."""

import json
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static", "cove")

BOUND = ("--storage-opt", "size=16M")


def test_no_space_inside_and_never_outside(daemon: Engine) -> None:
    words = ["dd", "if=/dev/zero", "of=/big", "bs=1M", "count=64"]
    full = daemon.docker("run", "--rm", *BOUND, "busybox", *words, check=False)
    assert full.code == 1 and "No space left on device" in full.err


def test_everything_else_is_as_ever(daemon: Engine, tmp_path: Path) -> None:
    work = "echo here > /file; rm /etc/group; sleep 600"
    daemon.docker("run", "-d", "--name", "box", *BOUND, "busybox", "sh", "-c", work)
    daemon.docker("exec", "box", "cat", "/file")
    for _ in range(2):
        changes = daemon.docker("diff", "box").out.split("\n")
        assert {"A /file", "D /etc/group"} <= set(changes)
        assert "here" in daemon.docker("cp", "box:/file", "-").out
        daemon.docker("commit", "box", "made")
        assert daemon.docker("run", "--rm", "made", "cat", "/file").out == "here\n"
        daemon.docker("stop", "-t", "0", "box")
    daemon.docker("export", "-o", str(tmp_path / "box.tar"), "box")
    daemon.docker("start", "box")
    assert daemon.docker("exec", "box", "cat", "/file").out == "here\n"
    size = json.loads(daemon.docker("inspect", "--size", "box").out)[0]["SizeRw"]
    assert 0 < size <= 16 << 20
    daemon.docker("rm", "-f", "box")


def test_after_a_kill(fresh_daemon: Daemon) -> None:
    fresh_daemon.docker("run", "-d", "--name", "box", *BOUND, "busybox", "sh", "-c", "echo here > /file; sleep 600")
    fresh_daemon.docker("exec", "box", "cat", "/file")
    fresh_daemon.kill9()
    fresh_daemon.start()
    assert fresh_daemon.docker("exec", "box", "cat", "/file").out == "here\n"
    fresh_daemon.docker("restart", "-t", "0", "box")
    assert fresh_daemon.docker("exec", "box", "cat", "/file").out == "here\n"
    fresh_daemon.docker("rm", "-f", "box")


@pytest.mark.parametrize(
    ("option", "words"),
    [("size=x", "invalid size: 'x'"), ("size=1", "bytes are not within"), ("nope=1", "invalid storage option: nope")],
)
def test_bad_options(daemon: Engine, option: str, words: str) -> None:
    refused = daemon.docker("create", "--storage-opt", option, "busybox", "true", check=False)
    assert refused.code == 1 and words in refused.err, refused.err


def test_undo(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", *BOUND, "busybox", "sh", "-c", "echo here > /file")
    daemon.docker("rm", "box")
    daemon.cove("undo")
    assert "here" in daemon.docker("cp", "box:/file", "-").out
    daemon.docker("rm", "box")
