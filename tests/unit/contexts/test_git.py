"""Repositories, fetched from real servers: one that speaks git's own protocol, one that only serves files."""

import http.server
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cove.contexts.git import Clone
from cove.dockerfile.git import GitSource, parse_git
from cove.errors import Cancelled, InvalidArgument, Unavailable

IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(at: Path, *arguments: str) -> str:
    environment = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": "/dev/null"}
    command = ["git", "-c", "protocol.file.allow=always", "-C", str(at), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a branch, a tag, a hook, a link out of it, and a submodule that is at ``file://``."""
    root = tmp_path_factory.mktemp("served") / "repo.git"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "sub").mkdir()
    (root / "sub/Dockerfile").write_text("FROM scratch\n")
    (root / "out").symlink_to("/etc")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    git(root, "tag", "v1")
    (root / "file").write_text("two\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "two")
    git(root, "checkout", "-qb", "other")
    (root / "file").write_text("other\n")
    git(root, "commit", "-qam", "three")
    git(root, "checkout", "-q", "main")
    git(root, "update-server-info")
    return root


@pytest.fixture(scope="module")
def dumb(repository: Path) -> Iterator[str]:
    """Its files over HTTP, with which a shallow fetch is not possible."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = partial(Quiet, directory=str(repository.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    (repository.parent / "bare.git").symlink_to(repository / ".git")
    yield f"http://127.0.0.1:{server.server_port}/bare.git"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def smart(repository: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        "git",
        "daemon",
        "--export-all",
        "--listen=127.0.0.1",
        f"--port={port}",
        "--reuseaddr",
        f"--base-path={repository.parent}",
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.02)  # until it listens; it tells nobody
    yield f"git://127.0.0.1:{port}/repo.git"
    os.killpg(server.pid, 15)
    server.wait()


@pytest.fixture(params=["dumb", "smart"])
def address(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def cloned(address: str, place: Path) -> tuple[Clone, str]:
    clone = Clone(parse_git(address), place / "clone")
    return clone, clone.run()


def test_the_default_branch_is_checked_out_without_its_history(address: str, repository: Path, tmp_path: Path) -> None:
    clone, commit = cloned(address, tmp_path)
    assert commit == git(repository, "rev-parse", "main")
    assert sorted(os.listdir(clone.root)) == ["file", "out", "sub"]


@pytest.mark.parametrize(
    ("fragment", "content"), [("#other", "other\n"), ("#main", "two\n"), ("?branch=other", "other\n")]
)
def test_a_branch_is_checked_out(address: str, tmp_path: Path, fragment: str, content: str) -> None:
    clone, _ = cloned(address + fragment, tmp_path)
    assert (clone.root / "file").read_text() == content


def test_a_tag_a_commit_and_a_directory_are_found(address: str, repository: Path, tmp_path: Path) -> None:
    first = git(repository, "rev-parse", "v1")
    for number, fragment in enumerate(("#v1:sub", "?tag=v1&subdir=sub", f"#{first}:sub")):
        clone, commit = cloned(address + fragment, tmp_path / str(number))
        assert commit == first
        assert os.listdir(clone.root) == ["Dockerfile"]


def test_a_checksum_has_to_be_the_commit(smart: str, repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "main")
    assert cloned(f"{smart}?checksum={commit[:12]}", tmp_path)[1] == commit
    with pytest.raises(InvalidArgument, match="expected checksum to match"):
        cloned(f"{smart}?checksum={'0' * 40}", tmp_path / "other")


def test_a_directory_that_leads_out_or_is_not_there_is_refused(smart: str, tmp_path: Path) -> None:
    for number, name in enumerate(("out", "nothing", "file")):
        clone, _ = cloned(f"{smart}#main:{name}", tmp_path / str(number))
        with pytest.raises(InvalidArgument, match="no directory of the repository"):
            _ = clone.root


def test_git_is_kept_only_when_it_is_asked_for(smart: str, tmp_path: Path) -> None:
    clone, _ = cloned(smart + "?keep-git-dir=true", tmp_path)
    assert (clone.root / ".git/HEAD").is_file()


def test_what_is_not_there_is_said(address: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"git fetch of .* failed"):
        cloned(address + "#nothing", tmp_path)
    with pytest.raises(Unavailable, match="failed"):
        cloned(address.replace(".git", "-gone.git"), tmp_path / "other")


def test_no_protocol_reaches_local_files(tmp_path: Path, repository: Path) -> None:
    for remote in (f"file://{repository}", str(repository), "ext::sh -c 'touch pwned'"):
        with pytest.raises(Unavailable, match="not allowed"):
            Clone(GitSource(remote), tmp_path / "clone").run()
    assert not list(tmp_path.rglob("pwned"))


def test_a_fetch_that_is_cancelled_ends_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        clone = Clone(parse_git(f"git://127.0.0.1:{silent.getsockname()[1]}/x.git"), tmp_path / "clone")
        errors: list[BaseException] = []

        def run() -> None:
            try:
                clone.run()
            except Cancelled as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        connection, _ = silent.accept()
        clone.cancel()
        thread.join(30)
        connection.close()
    assert len(errors) == 1


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        clone = Clone(parse_git(f"git://127.0.0.1:{silent.getsockname()[1]}/x.git"), tmp_path / "clone", seconds=0.5)
        with pytest.raises(Unavailable, match="took more than"):
            clone.run()
