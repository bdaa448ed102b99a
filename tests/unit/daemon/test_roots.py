"""The roots: their layout, and the lock that keeps a second daemon out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cove.daemon.roots import Roots
from cove.errors import Conflict


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_layout(tmp_path: Path) -> None:
    roots = Roots(tmp_path / "deep" / "data", tmp_path / "run")
    assert sorted(os.listdir(roots.data)) == ["containers", "coved.lock", "tmp", "volumes"]
    assert sorted(os.listdir(roots.run)) == ["containers", "coved.lock"]
    assert (mode(roots.data), mode(roots.run), mode(roots.data / "containers")) == (0o710, 0o711, 0o710)
    roots.close()


@pytest.mark.parametrize("shared", ["data", "run"])
def test_a_second_daemon_is_refused(tmp_path: Path, shared: str) -> None:
    first = Roots(tmp_path / "data", tmp_path / "run")
    others = {"data": tmp_path / "data2", "run": tmp_path / "run2", shared: tmp_path / shared}
    expected = f"another daemon (pid {os.getpid()}) is using {tmp_path / shared}: stop it or choose another root"
    for _ in range(2):  # a refusal neither takes nor breaks the lock
        with pytest.raises(Conflict) as refused:
            Roots(others["data"], others["run"])
        assert refused.value.message == expected
    first.close()
    Roots(others["data"], others["run"]).close()


def test_a_refusal_lets_go_of_the_other_root(tmp_path: Path) -> None:
    first = Roots(tmp_path / "data", tmp_path / "run")
    with pytest.raises(Conflict):
        Roots(tmp_path / "data2", tmp_path / "run")
    Roots(tmp_path / "data2", tmp_path / "run2").close()
    first.close()


def test_one_directory_may_be_both_roots(tmp_path: Path) -> None:
    Roots(tmp_path, tmp_path).close()


def test_another_name_of_the_root_is_the_same_root(tmp_path: Path) -> None:
    first = Roots(tmp_path / "data", tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(Conflict, match="another daemon"):
        Roots(tmp_path / "link", tmp_path / "run2")
    first.close()


HOLDER = """
import sys
from pathlib import Path
from cove.daemon.roots import Roots
roots = Roots(Path(sys.argv[1]), Path(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_killed_daemon_holds_nothing(tmp_path: Path) -> None:
    roots = (tmp_path / "data", tmp_path / "run")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, *map(str, roots)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(Conflict, match=rf"another daemon \(pid {holder.pid}\) is using"):
            Roots(*roots)
        holder.kill()
    Roots(*roots).close()
