"""Contexts on stdin, whatever they are compressed by; squashed images; and the memory that a step sees."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from harness.engine import BIN, Engine

DOCKERFILE = b"FROM busybox\nCOPY f /f\n"
FORMATS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}


def context(content: bytes) -> bytes:
    """A tar with a Dockerfile and a file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in (("Dockerfile", DOCKERFILE), ("f", content)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


@pytest.mark.parametrize("client", ["cove", "docker"])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_tar_on_stdin(daemon: Engine, tmp_path: Path, kind: str, client: str) -> None:
    (tmp_path / "context").write_bytes(FORMATS[kind](context(f"{kind} {client}\n".encode())))
    program = str(BIN / "cove") if client == "cove" else "docker"
    with (
        (tmp_path / "context").open("rb") as given,
        daemon.spawned(program, "build", "-q", "-t", "made:stdin", "-", stdin=given) as process,
    ):
        assert process.wait(60) == 0
    assert daemon.docker("run", "--rm", "made:stdin", "cat", "/f").out == f"{kind} {client}\n"


def test_squashing_takes_away_what_the_base_has(daemon: Engine, tmp_path: Path) -> None:
    lines = (
        "FROM busybox\nRUN rm /bin/ls && mkdir /d && echo one >/d/one && echo two >/d/two\n"
        "RUN rm -r /d && mkdir /d && echo three >/d/three && rm -r /var/spool\n"
    )
    (tmp_path / "Dockerfile").write_text(lines)
    daemon.cove("build", "-q", "-t", "made:squashed", "--squash", str(tmp_path))
    script = "echo /d/*; cat /d/three; for gone in /bin/ls /var/spool; do test -e $gone && echo $gone is left; done; :"
    assert daemon.docker("run", "--rm", "made:squashed", "sh", "-c", script).out == "/d/three\nthree\n"
    layers = json.loads(daemon.docker("inspect", "made:squashed").out)[0]["RootFS"]["Layers"]
    base = json.loads(daemon.docker("inspect", "busybox").out)[0]["RootFS"]["Layers"]
    assert layers[:-1] == base


def test_squashing_keeps_holes(daemon: Engine, tmp_path: Path) -> None:
    lines = (
        "FROM busybox\n"
        "RUN echo begin >/s && truncate -s 20M /s && echo end >>/s && truncate -s 9M /empty && ln /s /link\n"
        "RUN echo other >/other && cat /s | md5sum >/sum\n"
    )
    (tmp_path / "Dockerfile").write_text(lines)
    daemon.cove("build", "-q", "-t", "made:holes", "--squash", str(tmp_path))
    script = "md5sum </s | cmp - /sum && md5sum </link | cmp - /sum && cat /other; stat -c %s /s /empty; du -k /s"
    said = daemon.docker("run", "--rm", "made:holes", "sh", "-c", script).out.splitlines()
    assert said[:3] == ["other", str((20 << 20) + 4), str(9 << 20)]
    assert int(said[3].split()[0]) < 1000


def test_the_memory_that_a_step_sees(daemon: Engine, tmp_path: Path) -> None:
    read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    (tmp_path / "Dockerfile").write_text(f"FROM busybox\nRUN {read}\n")
    for flags in (("-m", "64m"), ("--memory", "128m", "--memory-swap", "256m")):
        err = daemon.cove("build", "--progress=plain", "--no-cache", *flags, str(tmp_path)).err
        assert f" {int(flags[1][:-1]) << 20}\n" in err
