"""What ADD takes from elsewhere is fetched once: again only when it has changed, or when its files are needed."""

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.file_server import file_server

_SERVER = """\
import http.server, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = open(sys.argv[1], "rb").read()
        asked = self.headers.get("If-None-Match")
        print("conditional" if asked else "whole", flush=True)
        if asked == text.decode():
            self.send_response(304)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", text.decode())
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""
"""Serves one file, whose content is its entity tag, and prints what each request asked for."""


@contextlib.contextmanager
def tagged(engine: Engine, file: Path) -> Iterator["Tagged"]:
    """A server of one file with an entity tag, in the engine's network namespace."""
    command = engine.netns.command([sys.executable, "-I", "-c", _SERVER, str(file)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            yield Tagged(server)
        finally:
            server.kill()


class Tagged:
    def __init__(self, server: "subprocess.Popen[str]") -> None:
        assert server.stdout is not None
        self._out = server.stdout
        self.url = f"http://127.0.0.1:{self._out.readline().strip()}/file"

    def asked(self) -> str:
        """What the next request was for."""
        return self._out.readline().strip()


def build(engine: Engine, place: Path, add: str, *flags: str) -> tuple[str, str]:
    """HIT or MISS of the ADD, and the image."""
    (place / "Dockerfile").write_text(f"FROM busybox\n{add}\n")
    *lines, image = engine.cove("build", "-q", "--explain", *flags, str(place)).out.splitlines()
    (verdict,) = (line.split()[0] for line in lines if not line.startswith(" "))
    return verdict, image


def read(engine: Engine, image: str, path: str) -> str:
    return engine.docker("run", "--rm", image, "cat", path).out


def test_a_checksum_is_enough(fresh_daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file").write_text("fetched\n")
    digest = hashlib.sha256(b"fetched\n").hexdigest()
    with file_server(fresh_daemon, tmp_path / "served") as url:
        add = f"ADD --checksum=sha256:{digest} {url}/file /f"
        first = build(fresh_daemon, tmp_path, add)
        assert first[0] == "MISS"
    assert build(fresh_daemon, tmp_path, add) == ("HIT", first[1])
    fresh_daemon.restart()
    assert build(fresh_daemon, tmp_path, add) == ("HIT", first[1])
    done = fresh_daemon.cove("build", "--no-cache", str(tmp_path), check=False)
    assert done.code == 1 and "failed to GET" in done.err
    other = add.replace(digest, "0" * 64)
    (tmp_path / "Dockerfile").write_text(f"FROM busybox\n{other}\n")
    assert fresh_daemon.cove("build", str(tmp_path), check=False).code == 1


def test_a_server_is_asked_whether_it_is_the_same(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    with tagged(daemon, tmp_path / "file") as server:
        add = f"ADD {server.url} /f"
        verdict, image = build(daemon, tmp_path, add)
        assert (verdict, server.asked(), read(daemon, image, "/f")) == ("MISS", "whole", "one")
        assert (build(daemon, tmp_path, add), server.asked()) == (("HIT", image), "conditional")
        (tmp_path / "file").write_text("two")
        verdict, image = build(daemon, tmp_path, add)
        assert (verdict, server.asked(), server.asked()) == ("MISS", "conditional", "whole")
        assert read(daemon, image, "/f") == "two"
        verdict, image = build(daemon, tmp_path, f"ADD {server.url} /elsewhere")
        assert (verdict, server.asked(), server.asked()) == ("MISS", "conditional", "whole")
        assert read(daemon, image, "/elsewhere") == "two"


def test_a_time_is_as_good_as_a_tag(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    place = tmp_path / "served" / "file"
    place.write_text("one\n")
    os.utime(place, (1_000_000_000, 1_000_000_000))
    with file_server(daemon, tmp_path / "served") as url:
        add = f"ADD {url}/file /f"
        first = build(daemon, tmp_path, add)
        place.write_text("two\n")
        os.utime(place, (1_000_000_000, 1_000_000_000))
        assert build(daemon, tmp_path, add) == ("HIT", first[1])  # the server said that nothing has changed
        os.utime(place, (1_000_000_001, 1_000_000_001))
        verdict, image = build(daemon, tmp_path, add)
        assert (verdict, read(daemon, image, "/f")) == ("MISS", "two\n")


@pytest.mark.needs("git")
def test_a_repository_is_fetched_when_its_branch_has_moved(daemon: Engine, tmp_path: Path) -> None:
    source = tmp_path / "served" / "source"
    source.mkdir(parents=True)
    _git(source, "init -q -b main")
    one = _committed(source, "one")
    (tmp_path / "served" / "repo.git").symlink_to(source / ".git")
    with file_server(daemon, tmp_path / "served") as url:
        add, pinned = f"ADD {url}/repo.git#main /r", f"ADD {url}/repo.git#{one} /p"
        verdict, image = build(daemon, tmp_path, add)
        assert (verdict, read(daemon, image, "/r/file")) == ("MISS", "one")
        assert build(daemon, tmp_path, add) == ("HIT", image)
        first = build(daemon, tmp_path, pinned)
        assert (first[0], read(daemon, first[1], "/p/file")) == ("MISS", "one")
        _committed(source, "two")
        verdict, image = build(daemon, tmp_path, add)
        assert (verdict, read(daemon, image, "/r/file")) == ("MISS", "two")
    assert build(daemon, tmp_path, pinned) == ("HIT", first[1])


def _git(place: Path, command: str) -> str:
    words = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *command.split()]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    return subprocess.run(words, cwd=place, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def _committed(place: Path, text: str) -> str:
    """Commit a file with this text; the commit."""
    (place / "file").write_text(text)
    for command in ("add .", f"commit -qm {text}", "update-server-info"):
        _git(place, command)
    return _git(place, "rev-parse HEAD")
