"""Contexts and files that the daemon fetches: by URL and from git repositories, served in its own network namespace."""

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.file_server import file_server

DOCKERFILE = "FROM busybox\nCOPY . /c\nRUN ls -A /c\n"
IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar, a Dockerfile, a file with an old date, and a repository."""
    root = tmp_path_factory.mktemp("served")
    (root / "Dockerfile").write_text("FROM busybox\nRUN echo from a URL\n")
    (root / "file.txt").write_text("fetched\n")
    os.utime(root / "file.txt", (1_000_000_000, 1_000_000_000))
    with tarfile.open(root / "context.tar.gz", "w:gz") as archive:
        for name, content in (("Dockerfile", DOCKERFILE), ("inside", "x")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
    source = root / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/Dockerfile").write_text(DOCKERFILE)
    (source / "sub/.dockerignore").write_text("left-out\n")
    (source / "sub/left-out").touch()
    (source / "sub/kept").touch()
    environment = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": "/dev/null"}
    for command in ("init -q -b main", "add .", "commit -qm one", "tag v1", "update-server-info"):
        subprocess.run(["git", *command.split()], cwd=source, env=environment, check=True)
    (root / "repo.git").symlink_to(source / ".git")
    return root


@pytest.fixture
def url(daemon: Engine, files: Path) -> Iterator[str]:
    with file_server(daemon, files) as served:
        yield served


def built(engine: Engine, remote: str) -> str:
    """What a build of a remote context prints."""
    answer = engine.http("POST", f"/build?remote={remote.replace('#', '%23')}", timeout=60)
    assert answer.status == 200, answer.body
    return answer.body.decode()


def test_a_tar_and_a_dockerfile_by_url(daemon: Engine, url: str) -> None:
    assert "inside" in built(daemon, f"{url}/context.tar.gz")
    assert "from a URL" in built(daemon, f"{url}/Dockerfile")


@pytest.mark.needs("git")
def test_a_repository_is_a_context_without_what_it_ignores(daemon: Engine, url: str) -> None:
    out = built(daemon, f"{url}/repo.git#v1:sub")
    assert "kept" in out
    assert "left-out" not in out
    assert ".git" not in out
    assert "kept" in daemon.cove("build", "--progress", "plain", "--no-cache", f"{url}/repo.git#main:sub").err


@pytest.mark.needs("git")
def test_a_dockerfile_on_stdin_is_built_with_what_is_elsewhere(daemon: Engine, url: str) -> None:
    text = "FROM busybox\nCOPY . /of-stdin\nRUN ls /of-stdin\n"
    for place, found in ((f"{url}/repo.git#v1:sub", "kept"), (f"{url}/context.tar.gz", "inside")):
        said = daemon.cove("build", "--progress", "plain", "--no-cache", "-f", "-", place, input=text).err
        assert "COPY . /of-stdin" in said and f" {found}\n" in said
    done = daemon.cove("build", "-f", "-", f"{url}/file.txt", input=text, check=False)
    assert "build context is not an archive" in done.err


@pytest.mark.parametrize(
    ("remote", "status", "message"),
    [
        ("{url}/nothing", 404, "failed to GET {url}/nothing with status 404 Not Found"),
        ("http://127.0.0.1:1/x", 503, "failed to GET"),
        ("ftp://host/x", 400, "could not be recognized as git or HTTP"),
        ("{url}/repo.git#--upload-pack=x", 400, "invalid git reference"),
        ("{url}/repo.git#:nothing", 400, "no directory of the repository"),
    ],
)
@pytest.mark.needs("git")
def test_what_cannot_be_fetched_is_said(daemon: Engine, url: str, remote: str, status: int, message: str) -> None:
    target = remote.format(url=url).replace("#", "%23")
    answer = daemon.http("POST", f"/build?remote={target}", timeout=60)
    assert answer.status == status
    assert message.format(url=url) in answer.body.decode()


def build(engine: Engine, context: Path, dockerfile: str, *, check: bool = True) -> str:
    (context / "Dockerfile").write_text(dockerfile)
    done = engine.docker("build", "-t", "fetched", str(context), check=check)
    return done.out + done.err


@pytest.mark.needs("git")
def test_add_fetches_files_and_repositories(daemon: Engine, url: str, files: Path, tmp_path: Path) -> None:
    text = (
        f"FROM busybox\nADD {url}/file.txt /f/\nADD {url}/file.txt /named\nADD {url}/context.tar.gz /kept/\n"
        f"ADD --unpack {url}/context.tar.gz /unpacked/\nADD {url}/repo.git#v1:sub /repo\n"
        "RUN stat -c '%a %Y' /f/file.txt; cat /named; ls /kept /unpacked; ls -A /repo\n"
    )
    out = build(daemon, tmp_path, text)
    assert re.search("600 1000000000\nfetched\n/kept:\ncontext.tar.gz\n\n/unpacked:\nDockerfile\ninside\n", out)
    assert re.search(r"\.dockerignore\nDockerfile\nkept\nleft-out\n", out)


@pytest.mark.needs("git")
def test_named_contexts_come_from_urls_and_repositories(daemon: Engine, url: str, tmp_path: Path) -> None:
    named = {"archive": f"{url}/context.tar.gz", "file": f"{url}/file.txt", "repository": f"{url}/repo.git#v1:sub"}
    copies = "".join(f"COPY --from={name} / /{name}/\n" for name in named)
    (tmp_path / "Dockerfile").write_text(f"FROM busybox\n{copies}RUN ls {' '.join(f'/{name}' for name in named)}\n")
    flags = [word for name, place in named.items() for word in ("--build-context", f"{name}={place}")]
    shown = daemon.cove("build", "--progress", "plain", *flags, str(tmp_path)).err
    for word in ("inside", "file.txt", "kept"):
        assert re.search(rf"^#\d+ [\d.]+ {word}$", shown, re.MULTILINE)
    flags = ["--build-context", f"archive={url}/nothing"]
    done = daemon.cove("build", *flags, str(tmp_path), check=False)
    assert "with status 404 Not Found" in done.err and done.code == 1


def test_a_checksum_has_to_be_right(daemon: Engine, url: str, tmp_path: Path) -> None:
    import hashlib

    digest = hashlib.sha256(b"fetched\n").hexdigest()
    build(daemon, tmp_path, f"FROM busybox\nADD --checksum=sha256:{digest} {url}/file.txt /f\n")
    out = build(daemon, tmp_path, f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {url}/file.txt /f\n", check=False)
    assert "digest mismatch" in out
    out = build(daemon, tmp_path, f"FROM busybox\nADD --checksum=md5:0 {url}/file.txt /f\n", check=False)
    assert "invalid checksum digest format: md5:0" in out
    out = build(daemon, tmp_path, "FROM busybox\nADD --checksum=sha256:0 Dockerfile /f\n", check=False)
    assert "checksum requires HTTP(S) or Git sources" in out
