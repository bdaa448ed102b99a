"""Contexts that mean harm: whatever is in them, in a directory or in a tar, is handled or refused with clear words."""

import contextlib
import io
import os
import socket
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine import Completed, Engine

DEEP = 10_000
"""Components of a path."""
CLIENTS = pytest.mark.parametrize("client", ["docker", pytest.param("cove", marks=pytest.mark.needs("cove"))])
COPY_ALL = b"FROM busybox\nCOPY . /to\n"


def tar_of(*members: tarfile.TarInfo, dockerfile: bytes = COPY_ALL) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        first = tarfile.TarInfo("Dockerfile")
        first.size = len(dockerfile)
        archive.addfile(first, io.BytesIO(dockerfile))
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return data.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def sent(engine: Engine, tar: bytes) -> tuple[int, str]:
    """The status and the text that POST /build has for a context."""
    answer = engine.http("POST", "/v1.43/build?version=1", tar, {"Content-Type": "application/x-tar"})
    return answer.status, answer.body.decode()


def refused(engine: Engine, context: Path, client: str) -> str:
    done: Completed = getattr(engine, client)("build", "-q", str(context), check=False)
    assert done.code == 1, done
    return done.err


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_bytes(COPY_ALL)
    return tmp_path


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (member("../outside"), "../outside: path leads out of the root"),
        (member("a/../../outside"), "a/../../outside: path leads out of the root"),
        (member("hard", tarfile.LNKTYPE, "../../../../etc/passwd"), "hard: path leads out of the root"),
        (member("hard", tarfile.LNKTYPE, "/etc/shadow"), "hard: hard link to /etc/shadow: No such file or directory"),
        (member("disk", tarfile.BLKTYPE), "disk: device nodes are not allowed here"),
        (member("null", tarfile.CHRTYPE), "null: device nodes are not allowed here"),
        (member("/".join(["d"] * DEEP)), "/d/…: path is longer than 4096 bytes"),
        (member("/".join(["d"] * 300)), "/d/…: path has more than 256 components"),
        (member("n" * 256), "nnn: name is longer than 255 bytes"),
    ],
)
def test_entries_of_a_tar_that_are_refused(daemon: Engine, entry: tarfile.TarInfo, words: str) -> None:
    status, text = sent(daemon, tar_of(entry))
    assert status == 400 and words in text, text[-200:]


def test_links_in_a_tar_lead_to_nothing_outside(daemon: Engine) -> None:
    link = member("d/out", tarfile.SYMTYPE, "../../../../etc")
    _, text = sent(daemon, tar_of(link, dockerfile=b"FROM busybox\nCOPY d/out/passwd /to/\n"))
    assert '"error":"\\"/d/out/passwd\\": not found"' in text
    _, text = sent(daemon, tar_of(link, member("d/out/passwd"), dockerfile=b"FROM busybox\nCOPY etc/passwd /to/\n"))
    assert "Successfully built" in text  # inside the context, as a container's root has it


def test_pipes_and_names_with_newlines_in_a_tar(daemon: Engine) -> None:
    entries = member("pipe", tarfile.FIFOTYPE), member("one\nFROM two"), member("\x1b[31m\n")
    look = b"RUN cd /to && test -p pipe && test -f one*two\n"
    status, text = sent(daemon, tar_of(*entries, dockerfile=COPY_ALL + look))
    assert status == 200 and "Successfully built" in text, text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (COPY_ALL + b"# " + bytes(1 << 20), "more than 1048576"),
        (COPY_ALL + b"# " + bytes(17 << 20), "the Dockerfile has more than 16 MiB"),
        (COPY_ALL + b"LABEL a=b\n" * 10_001, "more than 10000 instructions"),
        (COPY_ALL + b"RUN " + b"x" * 70_000, "dockerfile line greater than max allowed size of 65535"),
    ],
    ids=["megabyte", "megabytes", "instructions", "line"],
)
def test_a_huge_dockerfile_in_a_tar(daemon: Engine, text: bytes, words: str) -> None:
    status, answer = sent(daemon, tar_of(dockerfile=text))
    assert status == 400 and words in answer, answer[:200]


@CLIENTS
def test_links_out_of_a_directory_lead_to_nothing_outside(daemon: Engine, context: Path, client: str) -> None:
    outside = context / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    inside = context / "inside"
    inside.mkdir()
    (inside / "up").symlink_to("../outside")
    (inside / "whole").symlink_to(outside)
    (inside / "passwd").symlink_to("/etc/passwd")
    (inside / "Dockerfile").write_bytes(COPY_ALL)
    image = getattr(daemon, client)("build", "-q", str(inside)).out.strip()
    look = "cd /to; readlink up; readlink whole; cat up/secret || cat whole/secret"
    done = daemon.docker("run", "--rm", image, "sh", "-c", look, check=False)
    assert (done.code, done.out) == (1, f"../outside\n{outside}\n")
    for source in ("up/secret", "whole/secret", "passwd"):
        (inside / "Dockerfile").write_text(f"FROM busybox\nCOPY {source} /to/\n")
        assert f'"/{source}": not found' in refused(daemon, inside, client)


@CLIENTS
def test_sockets_and_names_with_newlines_in_a_directory(daemon: Engine, context: Path, client: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(context / "socket"))
    (context / "one\nFROM two").mkdir()
    (context / "one\nFROM two" / "\t\n\x1b[31m\udcff").write_text("x")
    image = getattr(daemon, client)("build", "-q", str(context)).out.strip()
    look = "cd /to; find . -type s; cd 'one\nFROM two' && cat *; for name in *; do echo \"$name\"; done | od -An -tx1"
    assert daemon.docker("run", "--rm", image, "sh", "-c", look).out == "x 09 0a 1b 5b 33 31 6d ff 0a\n"


@pytest.mark.needs("cove")
def test_devices_and_pipes_in_a_directory(daemon: Engine, context: Path) -> None:
    """The stock client leaves out, or reads, what it finds; ours says it."""
    os.mkfifo(context / "pipe")
    assert "/pipe is a named pipe, which cannot be in a build context" in refused(daemon, context, "cove")
    (context / "pipe").unlink()
    os.mknod(context / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    assert "/null is a device, which cannot be in a build context" in refused(daemon, context, "cove")
    (context / ".dockerignore").write_text("null\n")
    daemon.cove("build", "-q", str(context))


@CLIENTS
def test_a_directory_deeper_than_any_path(daemon: Engine, client: str) -> None:
    with deep() as context:
        assert "too long" in refused(daemon, context, client)[-200:]


@contextlib.contextmanager
def deep() -> Iterator[Path]:
    """A context with a chain of ``DEEP`` directories, made and removed step by step: no path names its end.

    It is in memory, where directories are made and removed at once.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top:
        (Path(top) / "Dockerfile").write_bytes(COPY_ALL)
        place = os.open(top, os.O_RDONLY)
        for _ in range(DEEP):
            os.mkdir("d", dir_fd=place)
            place = moved(place, "d")
        try:
            yield Path(top)
        finally:
            for _ in range(DEEP):
                place = moved(place, "..")
                os.rmdir("d", dir_fd=place)
            os.close(place)


def moved(place: int, name: str) -> int:
    """The directory of a name beside another, which is closed."""
    try:
        return os.open(name, os.O_RDONLY, dir_fd=place)
    finally:
        os.close(place)


@pytest.mark.needs("cove")
def test_a_huge_dockerfile_in_a_directory(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_bytes(COPY_ALL + b"# " + bytes(1 << 20))
    assert "/Dockerfile has more than 1048576 bytes" in refused(daemon, context, "cove")
    assert "more than 1048576" in refused(daemon, context, "docker")
