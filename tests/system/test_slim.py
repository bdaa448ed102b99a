"""``cove image slim``: what some commands were seen to read, and no more."""

import json
from collections.abc import Iterator

import pytest

from harness.engine import Completed, Engine

pytestmark = pytest.mark.needs("cove", "root")

PREPARE = """
mkdir -p /data /opt/tool /var/lib/dpkg/info /srv/deep/er
echo used >/data/used; echo more >/data/more; echo unread >/data/unread
head -c 3000000 /dev/urandom >/data/large
ln -s data/used /link; ln /data/more /data/hard; ln -s /srv/deep /way; echo below >/srv/deep/er/file
echo tool >/opt/tool/bin; echo doc >/opt/tool/doc
printf '/.\\n/opt\\n/opt/tool\\n/opt/tool/bin\\n/opt/tool/doc\\n/opt/gone\\n' >/var/lib/dpkg/info/tool:amd64.list
"""


@pytest.fixture
def fat(daemon: Engine) -> Iterator[str]:
    daemon.docker("run", "--name", "made", "busybox", "sh", "-c", PREPARE)
    daemon.docker("commit", "-c", "ENV WHAT=kept", "-c", "WORKDIR /data", "-c", 'CMD ["cat","used"]', "made", "fat:1")
    daemon.docker("rm", "made")
    yield "fat:1"


def slim(daemon: Engine, *words: str, check: bool = True) -> Completed:
    return daemon.cove("image", "slim", *words, check=check)


def files(daemon: Engine, image: str) -> set[str]:
    daemon.docker("create", "--name", "looked-at", image, "x")
    listed = daemon.cove("export", "looked-at", "-o", str(daemon.base / "looked-at.tar"))
    assert listed.code == 0
    import tarfile

    with tarfile.open(daemon.base / "looked-at.tar") as tar:
        found = {name.strip("./") for name in tar.getnames()}
    (daemon.base / "looked-at.tar").unlink()
    daemon.docker("rm", "looked-at")
    return found


def test_what_was_read_is_kept(daemon: Engine, fat: str) -> None:
    done = slim(daemon, fat, "--probe", "cat /link /way/er/file", "--probe", "cat hard", "-t", "thin")
    assert "Probing cat /link /way/er/file" in done.out and "% less" in done.out
    assert daemon.docker("run", "--rm", "thin").out == "used\n"
    assert daemon.docker("run", "--rm", "thin", "cat", "/link", "/way/er/file", "hard").out == "used\nbelow\nmore\n"
    there = files(daemon, "thin")
    assert {"data/used", "link", "way", "srv/deep/er/file", "bin/busybox", "bin/cat", "tmp", "etc/passwd"} <= there
    assert not {"data/large", "data/unread", "bin/ls", "bin/sh", "opt/tool/bin"} & there
    config = json.loads(daemon.docker("inspect", "thin").out)[0]
    assert "WHAT=kept" in config["Config"]["Env"] and config["Config"]["Cmd"] == ["cat", "used"]
    assert config["Size"] < 2_500_000
    daemon.docker("rmi", "thin", fat)


def test_what_is_asked_for_is_kept(daemon: Engine, fat: str) -> None:
    slim(daemon, fat, "--probe", "cat used", "--keep", "/way", "--keep", "data/unread", "--keep-package", "tool")
    there = files(daemon, "fat:slim")
    assert {"srv/deep/er/file", "way", "data/unread", "opt/tool/bin", "opt/tool/doc"} <= there
    assert not {"data/large", "data/more"} & there
    daemon.docker("rmi", "fat:slim", fat)


def test_a_probe_that_runs_on_is_stopped(daemon: Engine, fat: str) -> None:
    slim(daemon, fat, "--probe", "sleep 1000", "--probe-seconds", "1", "-t", "thin")
    assert "bin/sleep" in files(daemon, "thin")
    daemon.docker("rmi", "thin", fat)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "probe is needed"),
        (("--probe", "cat 'x"), "invalid probe: No closing quotation"),
        (("--probe", "cat /nowhere"), "the probe cat /nowhere ended with 1"),
        (("--probe", "no-such-program"), "no-such-program"),
        (("--probe", "true", "--keep", "/nowhere"), "the image has no /nowhere"),
        (("--probe", "true", "--keep-package", "none"), "the image has no package none"),
    ],
)
def test_what_cannot_be_made_slim(daemon: Engine, words: tuple[str, ...], message: str) -> None:
    before = daemon.docker("images", "-aq").out
    done = slim(daemon, "busybox", *words, check=False)
    assert done.code == 1 and message in done.err, done
    assert daemon.docker("images", "-aq").out == before and daemon.docker("ps", "-aq").out == ""


def test_an_image_that_is_not_there(daemon: Engine) -> None:
    assert "No such image: nothing:latest" in slim(daemon, "nothing", "--probe", "true", check=False).err
