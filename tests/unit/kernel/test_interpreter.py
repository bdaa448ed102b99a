"""The sealed interpreter: works like the one it is a copy of, and cannot be written, not even by root afterwards."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.kernel import interpreter

_ATTACK = """
import os, sys
held = os.open("/proc/self/exe", os.O_PATH)
os.set_inheritable(held, True)
# Once this program is another one, the executable is no longer busy; only the seal still protects it.
os.execv("/bin/sh", ["sh", "-c", f"echo pwned 2>/dev/null >> /proc/self/fd/{held} && echo written || echo refused"])
"""


def _run(descriptor: int, program: str) -> str:
    return subprocess.run(
        [sys.executable, "-I", "-c", program],
        executable=f"/proc/self/fd/{descriptor}",
        pass_fds=[descriptor],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.mark.root
def test_it_is_the_same_python() -> None:
    descriptor = interpreter.seal()
    try:
        assert _run(descriptor, "import sys; print(sys.executable)") == sys.executable
        assert _run(descriptor, _ATTACK) == "refused"
    finally:
        os.close(descriptor)


@pytest.mark.root
def test_not_even_root_writes_to_an_executable_that_nobody_runs(tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    descriptor = interpreter.seal(str(program))
    try:
        subprocess.run(["true"], executable=f"/proc/self/fd/{descriptor}", pass_fds=[descriptor], check=True)
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
            with pytest.raises(OSError, match="Read-only file system"):
                os.open(f"/proc/self/fd/{descriptor}", flags)
    finally:
        os.close(descriptor)
    assert program.read_bytes() == Path("/bin/true").read_bytes()


def test_the_copy_in_memory_is_sealed() -> None:
    descriptor = interpreter._sealed_memory(os.path.realpath(sys.executable))
    try:
        assert _run(descriptor, "import sys; print(sys.version_info[:2])") == str(sys.version_info[:2])
        assert _run(descriptor, _ATTACK) == "refused"
    finally:
        os.close(descriptor)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield (place := tmp_path / "kept" / "bin" / "python3")
    while subprocess.run(["umount", str(place)], capture_output=True).returncode == 0:
        pass


@pytest.mark.root
def test_what_is_kept_is_the_same_python_that_nobody_writes_to(place: Path) -> None:
    for _ in range(2):
        interpreter.keep_sealed(sys.executable, str(place))
    assert Path("/proc/self/mountinfo").read_text().count(f" {place} ") == 1
    script = "import sys, json; print(sys.base_prefix)"
    argv = [str(place), "-I", "-S", "-c", script]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == sys.base_prefix
    with pytest.raises(OSError, match="Read-only file system"):  # to open it fails with ETXTBSY while any Python runs
        place.chmod(0o755)
    argv[-1] = _ATTACK
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == "refused"


@pytest.mark.root
def test_nobody_else_says_where_its_library_is(place: Path) -> None:
    mask = os.umask(0)
    try:
        interpreter.keep_sealed(sys.executable, str(place))
        assert os.umask(0) == 0
    finally:
        os.umask(mask)
    for path in (place.parent, place.parent / "pyvenv.cfg"):
        assert not path.stat().st_mode & 0o022, path


@pytest.mark.root
def test_another_file_takes_the_place_of_what_is_kept(place: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    for original in ("/bin/true", "/bin/false"):
        shutil.copy(original, new := tmp_path / "new")
        new.rename(program)  # as a package is upgraded
        interpreter.keep_sealed(str(program), str(place))
        assert place.samefile(program)
    assert Path("/proc/self/mountinfo").read_text().count(f" {place} ") == 1
    assert subprocess.run([place]).returncode == 1


@pytest.mark.root
def test_of_two_that_keep_it_at_once_one_does(place: Path) -> None:
    place.parent.mkdir(parents=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            interpreter.keep_sealed(sys.executable, str(place))
    assert not place.exists()
