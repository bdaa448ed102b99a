"""Contexts that the daemon keeps: only new contents are sent, and what is built is what the files say."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cove.cli.build_contexts.preparing import prepare
from cove.cli.build_contexts.sending import send
from cove.client.api import Client
from cove.client.transport import Endpoint
from cove.errors import InvalidArgument, NotFound
from harness.engine import Engine

DOCKERFILE = "FROM busybox\nCOPY . /c\nRUN cat /c/sub/small; readlink /c/link; stat -c %a /c/sub/small; ls /c | wc -l\n"
LARGE = 3 << 20


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "context"
    (root / "sub").mkdir(parents=True)
    (root / "Dockerfile").write_text(DOCKERFILE)
    (root / "large").write_bytes(os.urandom(LARGE))
    (root / "copy").write_bytes((root / "large").read_bytes())
    (root / "empty").touch()
    (root / os.fsdecode(b"odd\xff\nname")).write_text("odd")
    (root / "sub/small").write_text("one\n")
    (root / "sub/small").chmod(0o640)
    (root / "link").symlink_to("sub/small")
    return root


class Counting:
    """A client that counts the bytes of contents that it sends."""

    def __init__(self, engine: Engine) -> None:
        self._client = Client(Endpoint(f"unix://{engine.socket}"))
        self.sent = 0

    def json(self, *arguments: Any) -> Any:
        return self._client.json(*arguments)

    def stream(self, method: str, path: str, query: Any = None, body: Any = None, headers: Any = None) -> Any:
        if path.endswith("/files"):
            body = self._counted(body)
        return self._client.stream(method, path, query, body, headers)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.sent += len(piece)
            yield piece

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def client(daemon: Engine) -> Iterator[Counting]:
    made = Counting(daemon)
    yield made
    made.close()


def build(client: Counting, root: Path) -> str:
    """What the build prints."""
    query, body = send(client, prepare(str(root)))  # type: ignore[arg-type]
    assert query["remote"].startswith("cove-context:")
    response = client.stream("POST", "/build", query, body)
    lines = [json.loads(line) for line in response.lines()]
    response.close()
    assert not any("error" in line for line in lines), lines
    return "".join(line.get("stream", "") for line in lines)


def test_a_file_is_sent_once_and_only_once_it_has_changed(client: Counting, context: Path) -> None:
    out = build(client, context)
    for expected in ("one\n", "sub/small\n", "640\n", "7\n"):
        assert expected in out
    assert LARGE < client.sent < LARGE + 4096  # the copy is not sent
    client.sent = 0
    assert "Using cache" in build(client, context)
    assert client.sent == 0
    (context / "large").rename(context / "moved")
    build(client, context)
    assert client.sent == 0
    (context / "sub/small").write_text("two\n")
    assert "two\n" in build(client, context)
    assert client.sent == 4


def test_a_change_that_leaves_size_and_times_alone_is_seen(client: Counting, context: Path) -> None:
    build(client, context)
    status = (context / "sub/small").stat()
    (context / "sub/small").write_text("abc\n")
    os.utime(context / "sub/small", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "abc\n" in build(client, context)


def test_a_cache_of_the_client_that_is_broken_or_gone_is_of_no_consequence(client: Counting, context: Path) -> None:
    build(client, context)
    (cache,) = (context.parent / "cache/cove/contexts").iterdir()
    for content in (b"", b"{", b'[1, 99999999999999999999]\n["x"]\n', os.urandom(100)):
        cache.write_bytes(content)
        build(client, context)


def test_what_a_daemon_that_was_killed_kept_is_of_use(
    fresh_daemon: Engine, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Counting(fresh_daemon)
    build(client, context)
    client.close()
    fresh_daemon.kill9()
    fresh_daemon.start()
    client = Counting(fresh_daemon)
    build(client, context)
    client.close()
    assert client.sent == 0


def test_what_is_kept_is_part_of_the_build_cache(client: Counting, daemon: Engine, context: Path) -> None:
    daemon.cove("builder", "prune", "-a", "-f")
    build(client, context)
    usage = json.loads(daemon.http("GET", "/v1.41/system/df?type=build-cache").body)["BuildCache"]
    (kept,) = (record for record in usage if record["Type"] == "source.local")
    assert kept["Size"] >= LARGE
    daemon.docker("builder", "prune", "-f", "--filter", "type=source.local")
    client.sent = 0
    build(client, context)
    assert client.sent > LARGE


def listing(*lines: list[Any]) -> list[bytes]:
    return [json.dumps(line).encode() + b"\n" for line in lines]


EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([["a"]], "cannot be read"),
        ([["../a", 0o100644, 0, 0, EMPTY]], "no path in a context"),
        ([["/a", 0o100644, 0, 0, EMPTY]], "no path in a context"),
        ([["a/b", 0o100644, 0, 0, EMPTY]], "not where it belongs"),
        ([["a", 0o120777, 0, 0, "/etc"], ["a/b", 0o100644, 0, 0, EMPTY]], "not where it belongs"),
        ([["a", 0o100644, 0, 0, EMPTY], ["a", 0o100644, 0, 0, EMPTY]], "not where it belongs"),
        ([["a", 0o020644, 0, 0, ""]], "nothing that a context can have"),
        ([["a", 0o100644, 0, -1, EMPTY]], "nothing that a context can have"),
        ([["a", 0o100644, 0, 0, "zz"]], "no digest"),
        ([["a" * 300, 0o100644, 0, 0, EMPTY]], "too long"),
        ([["\u2028", 0o100644, 0, 0, EMPTY]], "cannot be read"),
    ],
)
def test_a_bad_list_is_refused(client: Counting, lines: list[list[Any]], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        client.stream("POST", "/cove/contexts", {"key": "0" * 64}, iter(listing(*lines)))


@pytest.mark.parametrize("content", [b"", b"short", b"other", b"right and more"])
def test_contents_that_are_not_what_was_listed_are_refused(client: Counting, content: bytes) -> None:
    digest = hashlib.sha256(b"right").hexdigest()
    lines = iter(listing(["a", 0o100644, 0, 5, digest]))
    answer = json.loads(client.stream("POST", "/cove/contexts", {"key": "1" * 64}, lines).read())
    assert answer["Missing"] == [0]
    with pytest.raises(InvalidArgument):
        client.stream("POST", f"/cove/contexts/{answer['Id']}/files", None, iter([content]))
    with pytest.raises(NotFound, match="no such context"):
        client.stream("POST", "/build", {"remote": f"cove-context:{answer['Id']}"})


def test_an_offer_that_nobody_made_is_not_found(client: Counting) -> None:
    for method in (f"/cove/contexts/{'2' * 32}/files", "/build?remote=cove-context:nothing"):
        path, _, query = method.partition("?")
        with pytest.raises(NotFound, match="no such context"):
            client.stream("POST", path, dict([query.split("=", 1)]) if query else None, iter([b""]))
    with pytest.raises(InvalidArgument, match="key"):
        client.stream("POST", "/cove/contexts", {"key": "../x"}, iter([b""]))


@pytest.mark.parametrize(
    ("lines", "reads_all"),
    [
        ("COPY sub/small sub/o*r /c/\nADD empty http://127.0.0.1:1/x /c/\nFROM busybox\nCOPY sub /c", False),
        ("ARG WHAT=sub\nCOPY $WHAT/small ${WHAT%b}b/other /c/", False),
        ("RUN --mount=target=/m,source=sub cat /m/small", False),
        ("COPY --from=busybox /bin/ls /c", False),
        ("COPY . /c", True),
        ("COPY s* /c/", False),
        ("COPY */small /c/", True),
        ("COPY lin* /c/", True),
        ("COPY by/small /c/", True),
        ("RUN --mount=target=/m ls /m", True),
    ],
)
def test_what_no_step_wants_is_not_read(daemon: Engine, context: Path, lines: str, reads_all: bool) -> None:
    """A pipe, which no context can have, is met only when all of a directory is gone through."""
    os.mkfifo(context / "zzz")
    (context / "by").symlink_to("sub")
    (context / "sub/other").write_text("other\n")
    (context / "Dockerfile").write_text(f"FROM busybox\n{lines}\n")
    done = daemon.cove("build", "-q", str(context), check=False)
    assert ("named pipe" in done.err) == reads_all, done.err
    assert done.code == (1 if reads_all else 0)


def test_what_a_base_image_wants_is_read(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nONBUILD COPY sub/small /given\n")
    daemon.cove("build", "-q", "-t", "made:trigger", str(context))
    (context / "Dockerfile").write_text('FROM made:trigger\nCMD ["cat", "/given"]\n')
    image = daemon.cove("build", "-q", str(context)).out.strip()
    assert daemon.docker("run", "--rm", image).out == "one\n"


def test_a_slow_client_holds_up_nobody(client: Counting, daemon: Engine, context: Path) -> None:
    """Two clients send the same directory at once, one of them only half of it before the other is done."""
    key, content = "3" * 64, os.urandom(100_000)
    lines = [
        ["Dockerfile", 0o100644, 0, 0, ""],
        ["big", 0o100644, 0, len(content), hashlib.sha256(content).hexdigest()],
    ]
    text = b"FROM busybox\nCOPY big /\nRUN sha256sum /big\n"
    lines[0][3:] = [len(text), hashlib.sha256(text).hexdigest()]
    half, rest = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield text + content[:50_000]
        half.set()
        assert rest.wait(60)
        yield content[50_000:]

    def offer(some: Counting) -> str:
        response = some.stream("POST", "/cove/contexts", {"key": key}, iter(listing(*lines)))
        answer = json.loads(response.read())
        response.close()
        assert answer["Missing"] == [0, 1]
        return str(answer["Id"])

    def built(some: Counting, id: str) -> str:
        response = some.stream("POST", "/build", {"remote": f"cove-context:{id}"}, iter(()))
        said = "".join(json.loads(line).get("stream", "") for line in response.lines())
        response.close()
        return said

    slow = Counting(daemon)
    slow_id, quick_id = offer(slow), offer(client)
    sending = threading.Thread(
        target=lambda: slow.stream("POST", f"/cove/contexts/{slow_id}/files", None, slowly()).close()
    )
    sending.start()
    assert half.wait(60)
    client.stream("POST", f"/cove/contexts/{quick_id}/files", None, iter([text + content])).close()
    assert lines[1][4] in built(client, quick_id)
    rest.set()
    sending.join()
    assert built(slow, slow_id).count("Using cache") == 2
    slow.close()


def test_many_at_once_of_one_directory(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nCOPY sub /c\n")
    failures: list[BaseException] = []

    def one() -> None:
        client = Counting(daemon)
        try:
            build(client, context)
        except BaseException as error:
            failures.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
