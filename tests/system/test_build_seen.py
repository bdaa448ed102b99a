"""What a person sees of a build while it goes on: displays, the classic stream, and how it says that it failed."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from harness.engine import BIN, Engine
from harness.terminal import on_terminal

DOCKERFILE = "FROM busybox\nRUN echo one; echo two >&2\nCOPY f /\n"
FAILING = "FROM busybox\nRUN echo first; echo last >&2; exit 3\n"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "f").write_text("hello\n")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def test_plain_numbers_every_line(daemon: Engine, context: Path) -> None:
    flags = ("build", "--progress", "plain", "--no-cache", str(context))
    err = daemon.cove(*flags).err
    assert "[2/3] RUN echo one; echo two >&2\n" in err and "[3/3] COPY f /\n" in err
    (number,) = {line.split()[0] for line in err.splitlines() if line.endswith((" one", " two"))}
    assert f"{number} DONE " in err
    assert f"{number} CACHED\n" in daemon.cove("build", "--progress", "plain", str(context)).err


def test_json_has_names_times_and_output(daemon: Engine, context: Path) -> None:
    err = daemon.cove("build", "--progress", "rawjson", "--no-cache", str(context)).err
    told = [json.loads(line) for line in err.splitlines()]
    vertices = {each["digest"]: each for status in told for each in status.get("vertexes") or ()}
    logs = [log for status in told for log in status.get("logs") or ()]
    assert {vertices[log["vertex"]]["name"] for log in logs} == {"[2/3] RUN echo one; echo two >&2"}
    assert {log["stream"] for log in logs} == {1, 2}
    assert all(each["started"] <= each["completed"] for each in vertices.values())


def test_quiet_shows_the_image_or_nothing(daemon: Engine, context: Path) -> None:
    done = daemon.cove("build", "-q", str(context))
    assert done.out.startswith("sha256:") and done.out.count("\n") == 1 and done.err == ""
    assert daemon.cove("build", "--progress", "quiet", str(context)).err == ""
    done = daemon.cove("build", "--progress", "loud", str(context), check=False)
    assert done.code == 1 and 'invalid progress mode "loud"' in done.err


def test_a_terminal_shows_steps_and_their_output_live(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN --mount=type=cache,target=/c echo begun; sleep 600\n")
    argv = [str(BIN / "cove"), "build", "--no-cache", str(context)]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("[+] Building ")
        terminal.expect("=> [2/2] RUN")
        terminal.expect("=> => # begun")
        terminal.send("\x03")
        assert terminal.wait() == 130


def test_a_terminal_shows_how_it_ended(daemon: Engine, context: Path) -> None:
    for lines, marks, code in ((DOCKERFILE, ("FINISHED", "=> [3/3] COPY f /"), 0), (FAILING, ("ERROR [2/2]",), 1)):
        (context / "Dockerfile").write_text(lines)
        argv = [str(BIN / "cove"), "build", str(context)]
        with on_terminal(argv, daemon.client_environment()) as terminal:
            for mark in marks:
                terminal.expect(mark)
            if code:
                terminal.expect("first\r\nlast\r\n------")
                terminal.expect("returned a non-zero code: 3")
            assert terminal.wait() == code


def test_the_classic_stream_removes_what_it_has_run(daemon: Engine, context: Path) -> None:
    """As users of the classic builder know it. No container is ever left, whatever --rm says: see docs/build.md."""
    words = "Removing intermediate container"
    assert words in daemon.docker("build", "--no-cache", str(context)).out
    assert words not in daemon.docker("build", "--no-cache", "--rm=false", str(context)).out
    (context / "Dockerfile").write_text(FAILING)
    done = daemon.docker("build", "--rm=false", str(context), check=False)
    assert (done.code, words in done.out) == (3, False)
    assert words in daemon.docker("build", "--force-rm", str(context), check=False).out
    assert daemon.docker("ps", "-aq").out == ""


def test_the_classic_stream_as_it_is_sent(daemon: Engine, context: Path) -> None:
    """``aux`` with the image, and ``errorDetail`` with the exit code."""

    def lines(dockerfile: str) -> list[dict[str, object]]:
        (context / "Dockerfile").write_text(dockerfile)
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w") as archive:
            archive.add(context, ".")
        headers = {"Content-Type": "application/x-tar"}
        answer = daemon.http("POST", "/build?t=made:stream", body.getvalue(), headers=headers)
        return [json.loads(line) for line in answer.body.splitlines()]

    *_, aux, built, tagged = lines(DOCKERFILE)
    image = daemon.docker("inspect", "-f", "{{.Id}}", "made:stream").out.strip()
    assert aux == {"aux": {"ID": image}}
    assert built == {"stream": f"Successfully built {image[7:19]}\n"}
    assert tagged == {"stream": "Successfully tagged made:stream\n"}
    message = "The command '/bin/sh -c echo first; echo last >&2; exit 3' returned a non-zero code: 3"
    assert lines(FAILING)[-1] == {"error": message, "errorDetail": {"code": 3, "message": message}}
