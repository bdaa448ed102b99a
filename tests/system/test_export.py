"""``docker export``."""

import io
import tarfile

import pytest

from harness.engine import Engine

SCRIPT = """
echo hello >/file; chmod 4755 /file; ln /file /hard; ln -s file /soft; rm /bin/ls; mkfifo /fifo; echo in >/volume/in
"""


def _exported(engine: Engine, name: str) -> dict[str, tarfile.TarInfo]:
    answer = engine.http("GET", f"/containers/{name}/export")
    assert answer.status == 200
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        return {member.name: member for member in tar}


@pytest.mark.parametrize("running", [True, False])
def test_the_root_without_volumes(daemon: Engine, running: bool) -> None:
    daemon.docker("run", "-d", "--name", "box", "-v", "/volume", "busybox", "sleep", "600")
    daemon.docker("exec", "box", "sh", "-c", SCRIPT)
    if not running:
        daemon.docker("kill", "box")
    members = _exported(daemon, "box")
    assert "bin/ls" not in members
    assert members["file"].mode & 0o7777 == 0o4755
    assert (members["hard"].islnk(), members["hard"].linkname) == (True, "file")
    assert (members["soft"].issym(), members["soft"].linkname) == (True, "file")
    assert members["fifo"].isfifo()
    assert members["bin/busybox"].size > 1000
    assert members["volume"].isdir()
    assert not [name for name in members if name.startswith(("volume/", "proc/", "sys/", "/"))]
    assert members["etc/hosts"].size == 0


def test_import_of_what_was_exported(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", "mkdir /made; echo hello >/made/file")
    target = daemon.base / "box.tar"
    daemon.docker("export", "-o", str(target), "box")
    daemon.docker("import", str(target), "again")
    target.unlink()
    assert daemon.docker("run", "--rm", "again", "cat", "/made/file").out == "hello\n"
    daemon.docker("rmi", "again")


def test_of_nothing(daemon: Engine) -> None:
    assert daemon.http("GET", "/containers/nonesuch/export").status == 404
