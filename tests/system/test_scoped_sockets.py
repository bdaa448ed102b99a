"""Sockets that can do a part of the API only, and the log of who did what."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import rawhttp
from harness.daemon import Daemon
from harness.engine import BIN, Completed
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")


class Scoped:
    """The stock command line on a scoped socket."""

    def __init__(self, daemon: Daemon, name: str, *flags: str) -> None:
        self.daemon, self.name = daemon, name
        self.host = daemon.cove("socket", "create", *flags, name).out.strip()

    def docker(self, *words: str) -> Completed:
        environment = {**self.daemon.client_environment(), "DOCKER_HOST": self.host}
        done = subprocess.run(["docker", *words], env=environment, capture_output=True, text=True, timeout=60)
        return Completed(done.returncode, done.stdout, done.stderr)

    def refusal(self, *words: str) -> str:
        done = self.docker(*words)
        assert done.code != 0, done
        return done.err

    def close(self) -> None:
        self.daemon.cove("socket", "rm", self.name)


@pytest.fixture
def team(daemon: Daemon) -> Iterator[Scoped]:
    """A socket for what has the label team=a, without exec, privileges, the host's files and namespaces."""
    made = Scoped(daemon, "team", "--label", "team=a", "--deny", "exec,privileged,bind,host")
    yield made
    made.close()


def test_only_what_is_allowed(daemon: Daemon) -> None:
    reader = Scoped(daemon, "reader", "--allow", "GET /containers/**", "--allow", "GET /events")
    daemon.docker("run", "--name", "box", "busybox", "echo", "said")
    assert "box" in reader.docker("ps", "-a").out
    assert reader.docker("logs", "box").out == "said\n"
    assert reader.docker("version", "--format", "{{.Server.Version}}").code == 0
    assert "POST /containers/create: not allowed on the socket reader" in reader.refusal("run", "busybox")
    assert "DELETE /containers/box: not allowed" in reader.refusal("rm", "box")
    assert "GET /images/json: not allowed" in reader.refusal("images")
    reader.close()


def test_only_ones_own(daemon: Daemon, team: Scoped) -> None:
    daemon.docker("run", "-d", "--name", "theirs", "--label", "team=b", "busybox", "sleep", "600")
    daemon.docker("volume", "create", "theirs")
    daemon.docker("network", "create", "theirs")
    team.docker("volume", "create", "mine")
    team.docker("network", "create", "mine")
    ran = team.docker("run", "-d", "--name", "own", "-v", "mine:/v", "--network", "mine", "busybox", "sleep", "600")
    assert ran.code == 0, ran.err
    assert daemon.sdk.containers.get("own").labels["team"] == "a"
    assert team.docker("ps", "-a", "--format", "{{.Names}}").out.split() == ["own"]
    assert team.docker("volume", "ls", "-q").out.split() == ["mine"]
    assert team.docker("network", "ls", "--format", "{{.Name}}").out.split() == ["mine"]
    for words in (("inspect", "theirs"), ("rm", "theirs"), ("logs", "theirs"), ("stop", "theirs")):
        assert "o such" in team.refusal(*words)
    for flags in (
        ("-v", "theirs:/v"),
        ("--volumes-from", "theirs"),
        ("--network", "theirs"),
        ("--network", "container:theirs"),
        ("--pid", "container:theirs"),
        ("--mount", "type=volume,source=theirs,target=/v"),
    ):
        message = team.refusal("create", "--pull", "never", *flags, "busybox")
        assert "theirs" in message and ("o such" in message or "not found" in message), message
    assert "No such container: theirs" in team.refusal("commit", "theirs")
    assert "No such container: theirs" in team.refusal("network", "connect", "mine", "theirs")
    assert "not on the socket team" in team.refusal("system", "df")
    team.docker("container", "prune", "-f")
    assert daemon.docker("inspect", "theirs").code == 0


def test_what_is_not_there_is_no_missing_image(daemon: Daemon, team: Scoped) -> None:
    """The stock command line pulls the image when a create is answered with 404."""
    daemon.docker("create", "--name", "theirs", "busybox")
    daemon.docker("volume", "create", "theirs")
    daemon.docker("network", "create", "theirs")
    for flags, message in (
        (("-v", "theirs:/v"), "get theirs: no such volume"),
        (("-v", "nonesuch:/v"), "get nonesuch: no such volume"),
        (("--volumes-from", "theirs"), "No such container: theirs"),
        (("--volumes-from", "nonesuch"), "No such container: nonesuch"),
        (("--link", "theirs"), "No such container: theirs"),
        (("--network", "theirs"), "network theirs not found"),
        (("--network", "container:theirs"), "No such container: theirs"),
        (("--pid", "container:nonesuch"), "No such container: nonesuch"),
    ):
        refusal = team.refusal("create", *flags, "busybox")
        assert message in refusal and "Unable to find image" not in refusal, refusal
    assert "Unable to find image" in team.refusal("create", "nonesuch.invalid/x")
    daemon.docker("rm", "theirs")
    daemon.docker("volume", "rm", "theirs")
    daemon.docker("network", "rm", "theirs")


def test_what_is_denied(daemon: Daemon, team: Scoped) -> None:
    for flags, word in (
        (("--privileged",), "privileged"),
        (("--cap-add", "SYS_ADMIN"), "privileged"),
        (("--device", "/dev/null"), "privileged"),
        (("--security-opt", "seccomp=unconfined"), "privileged"),
        (("--security-opt", "systempaths=unconfined"), "privileged"),
        (("--security-opt", "no-new-privileges=false"), "privileged"),
        (("--security-opt", "label=type:spc_t"), "privileged"),
        (("-v", "/etc:/etc"), "bind"),
        (("--mount", "type=bind,source=/etc,target=/x"), "bind"),
        (("--mount", "type=volume,target=/x,volume-driver=local,volume-opt=o=bind,volume-opt=device=/"), "bind"),
        (("--network", "host"), "host"),
        (("--pid", "host"), "host"),
        (("--ipc", "host"), "host"),
        (("--uts", "host"), "host"),
        (("--userns", "host"), "host"),
    ):
        assert f"{word} is denied on the socket team" in team.refusal("create", *flags, "busybox"), flags
    assert "bind is denied" in team.refusal(
        "volume", "create", "--opt", "o=bind", "--opt", "device=/", "--opt", "type=none"
    )
    assert "host is denied" in team.refusal("network", "create", "-d", "macvlan", "-o", "parent=lo", "lan")
    adopting = ("-o", "com.docker.network.bridge.name=docker0")
    assert "host is denied" in team.refusal("network", "create", *adopting, "adopted")
    team.docker("run", "-d", "--name", "own", "--security-opt", "no-new-privileges", "busybox", "sleep", "600")
    assert "exec is denied on the socket team" in team.refusal("exec", "own", "true")
    bound = {"MountAdd": [{"Type": "bind", "Source": "/etc", "Target": "/x"}]}
    live = rawhttp.request(Path(team.host.removeprefix("unix://")), "POST", "/containers/own/update", bound)
    assert live.status == 403 and b"bind is denied on the socket team" in live.body
    body = {"image": "busybox", "hostconfig": {"pRIVILEGED": True}}
    sly = rawhttp.request(Path(team.host.removeprefix("unix://")), "POST", "/containers/create", body)
    assert sly.status in (400, 403), "keys in any case: what is judged is what the engine sees"


def test_no_socket_makes_another(daemon: Daemon, team: Scoped) -> None:
    done = subprocess.run(
        [BIN / "cove", "-H", team.host, "socket", "create", "--allow", "* /**", "more"],
        env=daemon.client_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "not" in done.stderr
    anything = Scoped(daemon, "anything", "--allow", "* /**")
    reply = subprocess.run(
        [BIN / "cove", "-H", anything.host, "socket", "ls"],
        env=daemon.client_environment(),
        capture_output=True,
        text=True,
    )
    assert "sockets are not managed by the socket anything" in reply.stderr
    anything.close()


def test_they_outlive_the_daemon(fresh_daemon: Daemon) -> None:
    scoped = Scoped(fresh_daemon, "kept", "--allow", "GET /containers/**")
    fresh_daemon.kill9()
    fresh_daemon.start()
    assert scoped.docker("ps").code == 0
    assert "not allowed" in scoped.refusal("images")
    assert fresh_daemon.cove("socket", "ls", "-q").out == "kept\n"
    scoped.close()
    assert "annot connect" in scoped.refusal("ps")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("bad",), "needs at least one of allow, deny and labels"),
        (("--deny", "all", "bad"), "deny: 'all' is not one of"),
        (("--allow", "x", "bad"), "allow: 'x' is not a method and a path"),
        (("--allow", "GET /x", "../x"), "invalid socket name"),
        (("--allow", "GET /x", "--group", "nonesuch", "bad"), "group nonesuch not found"),
    ],
)
def test_what_is_refused(daemon: Daemon, flags: tuple[str, ...], message: str) -> None:
    done = daemon.cove("socket", "create", *flags, check=False)
    assert done.code == 1 and message in done.err
    assert daemon.cove("socket", "ls", "-q").out == ""


def test_who_did_what_is_written_down(daemon: Daemon, team: Scoped) -> None:
    log = daemon.data_root / "audit.log"
    daemon.docker("create", "--name", "box", "busybox")
    team.refusal("rm", "box")
    daemon.docker("ps", "-a")

    def lines() -> list[dict[str, object]]:
        return [json.loads(line) for line in log.read_text().splitlines()]

    said = eventually(lines, lambda found: found[-1]["method"] == "DELETE")
    refused, made = said[-1], next(line for line in reversed(said) if "/containers/create" in str(line["target"]))
    assert made["status"] == 201 and made["uid"] == 0 and isinstance(made["pid"], int) and "socket" not in made
    assert refused["socket"] == "team" and refused["status"] == 404
    assert refused["message"] == "No such container: box"
    assert not any("/containers/json" in str(line["target"]) for line in said), "reading is not written down"
    assert log.stat().st_mode & 0o777 == 0o600
