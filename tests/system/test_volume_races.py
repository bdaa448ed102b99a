"""A container swaps a directory of its volume for a link to the host, while files of the volume are looked up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine import Engine

pytestmark = pytest.mark.needs("cove")

SECRET = "cove-test-secret"
TIMES = 3


@pytest.fixture
def outside(daemon: Engine, tmp_path: Path) -> Iterator[Path]:
    """A directory of the host that ``it`` in the volume ``data`` leads to now and then; nothing may come into it."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret").write_text(SECRET)
    swap = f"mkdir /d/it; while :; do rm -rf /d/it; ln -s {place} /d/it; rm /d/it; mkdir /d/it; done"
    daemon.docker("run", "-d", "--name", "swapper", "--net", "none", "-v", "data:/d", "busybox", "sh", "-c", swap)
    yield place
    assert [path.name for path in place.iterdir()] == ["secret"]
    assert f" {place}" not in Path("/proc/self/mountinfo").read_text()


def test_browse(daemon: Engine, outside: Path, tmp_path: Path) -> None:
    (tmp_path / "planted").write_text("x")
    for _ in range(TIMES):
        seen = daemon.cove("volume", "browse", "data", "cat", "/it/secret", check=False)
        listed = daemon.cove("volume", "browse", "data", "ls", "/it/", check=False)
        assert SECRET not in seen.out and "secret" not in listed.out
        daemon.cove("volume", "browse", "data", "cp", str(tmp_path / "planted"), ":/it/", check=False)


def test_part_of_a_volume(daemon: Engine, outside: Path) -> None:
    mount = "type=volume,src=data,dst=/p,volume-subpath=it"
    for _ in range(TIMES):
        script = "ls /p; touch /p/planted"
        seen = daemon.docker(
            "run", "--rm", "--net", "none", "--mount", mount, "busybox", "sh", "-c", script, check=False
        )
        assert "secret" not in seen.out


def test_an_image_mounted_there(daemon: Engine, outside: Path) -> None:
    mount = "type=image,src=busybox,dst=/d/it/image"
    for _ in range(TIMES):
        daemon.cove("run", "--rm", "--net", "none", "-v", "data:/d", "--mount", mount, "busybox", "true", check=False)


def test_backup(daemon: Engine, outside: Path, tmp_path: Path) -> None:
    for number in range(TIMES):
        file, name = str(tmp_path / f"{number}.tar.zst"), f"back{number}"
        daemon.cove("volume", "backup", "data", "-o", file)
        daemon.cove("volume", "restore", name, "-i", file)
        place = daemon.data_root / "volumes" / name / "_data"
        assert all(path.is_symlink() or path.name in ("_data", "it") for path in (place, *place.rglob("*")))
