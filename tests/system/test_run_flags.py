"""Flags of ``run`` that act on the client's side, or that only inspections show: with both command lines."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.engine import Completed, Engine
from harness.registry import Registry

Client = Callable[..., Completed]


@pytest.fixture(params=["docker", "cove"])
def client(request: pytest.FixtureRequest, daemon: Engine) -> Client:
    chosen: Client = getattr(daemon, request.param)
    return chosen


def test_a_file_of_the_id(daemon: Engine, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "id"
    client("run", "--name", "box", "--cidfile", str(file), "busybox", "true")
    assert file.read_text() == daemon.docker("inspect", "-f", "{{.Id}}", "box").out.strip()
    again = client("run", "--cidfile", str(file), "busybox", "true", check=False)
    assert again.code == 125 and "container ID file found" in again.err
    assert daemon.docker("ps", "-aq").out.count("\n") == 1


def test_files_of_variables(daemon: Engine, client: Client, tmp_path: Path) -> None:
    """A variable of the command line wins over a file's, whatever is first; a name alone is the client's own."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("# a comment\n\nA=1\nB=x y \nLANG\nNOT_SET_ANYWHERE\n")
    two.write_text("A=2\nC=a=b\n")
    flags = ("-e", "C=3", "--env-file", str(one), "--env-file", str(two))
    out = client("run", "--rm", *flags, "busybox", "sh", "-c", 'echo "$A|$B|$C|$LANG|${NOT_SET_ANYWHERE-unset}"').out
    assert out == "2|x y |3|C.UTF-8|unset\n"
    one.write_text("=x\n")
    refused = client("run", "--env-file", str(one), "busybox", check=False)
    assert refused.code == 125 and "no variable name on line '=x'" in refused.err
    assert daemon.docker("ps", "-aq").out == ""


def test_files_of_labels(daemon: Engine, client: Client, tmp_path: Path) -> None:
    """A name alone is a variable's there, as in a file of variables; Docker's command line has it so."""
    file = tmp_path / "labels"
    file.write_text("a=1\n# no\nb=x=y\nc\n")
    client("create", "--name", "box", "--label", "a=2", "--label", "d", "--label-file", str(file), "busybox")
    labels = daemon.http("GET", "/containers/box/json").json()["Config"]["Labels"]
    assert labels == {"a": "2", "b": "x=y", "d": ""}


def test_what_is_pulled(daemon: Engine, client: Client, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry", engine=daemon) as registry:
        name = f"{registry.host}/app:1"
        daemon.docker("tag", "busybox", name)
        daemon.docker("push", name)
        daemon.docker("rmi", name)
        never = client("run", "--rm", "--pull", "never", name, "true", check=False)
        assert never.code == 125 and f"No such image: {name}" in never.err
        missing = client("run", "--rm", "--pull", "missing", name, "echo", "ran")
        assert missing.out == "ran\n" and f"Unable to find image '{name}' locally" in missing.err
        assert client("run", "--rm", name, "echo", "ran") == (0, "ran\n", "")
        always = client("run", "--rm", "--pull", "always", name, "echo", "ran")
        assert always.out == "ran\n" and "Status: Image is up to date" in always.err
        quiet = client("run", "--rm", "--quiet", "--pull", "always", name, "echo", "ran")
        assert (quiet.out, quiet.err) == ("ran\n", "")
        daemon.docker("rmi", name)
    gone = client("run", "--rm", "--pull", "always", name, "true", check=False)
    assert gone.code == 125 and "connection refused" in gone.err


def test_annotations(daemon: Engine, client: Client) -> None:
    client("create", "--name", "box", "--annotation", "a=b", "--annotation", "com.example/x=y=z", "busybox")
    shown = daemon.http("GET", "/containers/box/json").json()["HostConfig"]["Annotations"]
    assert shown == {"a": "b", "com.example/x": "y=z"}


@pytest.mark.parametrize("program", ["docker", "cove"])
def test_signals_that_are_not_passed_on(daemon: Engine, program: str) -> None:
    """The client may go by it, the container knows nothing of it; with the proxy it would."""
    script = "trap 'echo told; exit 9' USR1; echo up; while :; do sleep .02; done"
    words = ("run", "--name", "box", "--sig-proxy=false", "busybox", "sh", "-c", script)
    with daemon.spawned(program, *words) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGUSR1)
        daemon.docker("kill", "-s", "KILL", "box")
    assert daemon.docker("inspect", "-f", "{{.State.ExitCode}}", "box").out == "137\n"
    assert not re.search("told", daemon.docker("logs", "box").out)
