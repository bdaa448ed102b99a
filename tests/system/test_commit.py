"""``docker commit``."""

import json
import time
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

SCRIPT = """
mkdir -p /made/deep; echo hello >/made/deep/file; ln /made/deep/file /made/hard; rm /bin/ls; rm -rf /usr
rm -rf /var; mkdir -p /var/www; chown 12:34 /made; chmod 4755 /made/deep/file
"""
LOOK = "cat /made/hard; stat -c %u:%g /made; stat -c %a:%h /made/deep/file; echo /* /var/* /bin/ls*"


def _inspected(engine: Engine, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(engine.docker("inspect", name).out)[0]
    return found


def test_the_image_has_what_was_changed(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", SCRIPT)
    image = daemon.docker("commit", "-m", "why", "-a", "who", "box", "made:one").out.strip()
    done = daemon.docker("run", "--name", "again", "made:one", "sh", "-c", LOOK)
    lines = done.out.splitlines()
    assert lines[:3] == ["hello", "12:34", "4755:2"]
    assert "/usr" not in lines[-1].split()
    assert {"/made", "/var/www"} <= set(lines[-1].split())
    assert not {"/var/spool", "/bin/ls"} & set(lines[-1].split())
    assert daemon.docker("diff", "again").out == ""
    found = _inspected(daemon, "made:one")
    assert (found["Id"], found["Comment"], found["Author"]) == (image, "why", "who")
    history = daemon.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "made:one").out
    assert history.startswith("sh -c ")
    assert history.splitlines()[-1] == "|Imported from -"
    daemon.docker("rm", "box", "again")
    daemon.docker("rmi", "made:one")


def test_its_configuration(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "-e", "A=1", "-e", "B=2", "-w", "/tmp", "-l", "x=y", "busybox", "true")
    changes = ["--change", "ENV B=3 C=4", "--change", 'CMD ["echo", "made"]', "--change", "EXPOSE 80"]
    image = daemon.docker("commit", *changes, "box").out.strip()
    config = _inspected(daemon, image)["Config"]
    assert isinstance(config, dict)
    assert set(config["Env"]) == {"A=1", "B=3", "C=4"}
    assert (config["Cmd"], config["WorkingDir"], config["Labels"]) == (["echo", "made"], "/tmp", {"x": "y"})
    assert config["ExposedPorts"] == {"80/tcp": {}}
    assert daemon.docker("run", "--rm", image).out == "made\n"
    daemon.docker("rm", "box")
    daemon.docker("rmi", image)


def test_of_a_running_container_which_goes_on(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo text >/file; sleep 600")
    daemon.docker("exec", "box", "sh", "-c", "until [ -s /file ]; do :; done")
    for flags in ([], ["--pause=false"]):
        image = daemon.docker("commit", *flags, "box").out.strip()
        assert daemon.docker("inspect", "-f", "{{.State.Status}}", "box").out == "running\n"
        assert daemon.docker("run", "--rm", image, "cat", "/file").out == "text\n"
        daemon.docker("rmi", image)


@pytest.mark.parametrize(("flags", "told"), [((), ["pause", "unpause"]), (("--pause=false",), [])])
@pytest.mark.parametrize("client", ["docker", "cove"])
def test_it_is_paused_meanwhile_unless_that_is_off(
    daemon: Engine, client: str, flags: tuple[str, ...], told: list[str]
) -> None:
    daemon.docker("run", "-d", "--name", "box", "--stop-timeout", "0", "busybox", "sleep", "600")
    since = f"{time.time():.9f}"
    run = daemon.docker if client == "docker" else daemon.cove
    image = run("commit", *flags, "box").out.strip()
    between = ("--since", since, "--until", f"{time.time():.9f}")
    actions = daemon.docker("events", *between, "--filter", "container=box", "--format", "{{.Action}}").out.split()
    assert actions.count("commit") == 1
    assert [action for action in actions if action != "commit"] == told
    daemon.docker("rmi", image)


@pytest.mark.needs("cove")
def test_a_daemon_that_is_killed_meanwhile(fresh_daemon: Daemon) -> None:
    """The next one lets go on what the commit held, and what was frozen without a word; not what a user paused."""
    daemon = fresh_daemon
    for name in ("held", "frozen", "users"):
        daemon.docker("run", "-d", "--net=none", "--name", name, "busybox", "sleep", "600")
    daemon.docker("pause", "users")
    daemon.docker("exec", "held", "sh", "-c", "head -c 300m /dev/zero > /large")
    with daemon.spawned("docker", "commit", "held", "image") as client:
        eventually(lambda: _status(daemon, "held") == "paused")
        _freeze(int(daemon.docker("inspect", "-f", "{{.State.Pid}}", "frozen").out))
        daemon.kill9()
        client.wait()
    daemon.start()
    for name in ("held", "frozen"):
        assert _status(daemon, name) == "running"
        assert daemon.docker("exec", name, "echo", "lives", timeout=20).out == "lives\n"
    assert _status(daemon, "users") == "paused"
    daemon.docker("unpause", "users")
    daemon.docker("pause", "held")
    daemon.kill9()
    daemon.start()
    assert _status(daemon, "held") == "paused"


def _status(daemon: Engine, name: str) -> str:
    return daemon.docker("inspect", "-f", "{{.State.Status}}", name).out.strip()


def _freeze(pid: int) -> None:
    """As a daemon does that has not come to write it down."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    groups = {line.split(":")[1]: line.split(":", 2)[2] for line in lines}
    if "freezer" in groups:
        Path(f"/sys/fs/cgroup/freezer{groups['freezer']}/freezer.state").write_text("FROZEN")
    else:
        Path(f"/sys/fs/cgroup{groups['']}/cgroup.freeze").write_text("1")


def test_a_container_that_is_paused_stays_so(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    daemon.docker("pause", "box")
    image = daemon.docker("commit", "box").out.strip()
    assert daemon.docker("inspect", "-f", "{{.State.Status}}", "box").out == "paused\n"
    daemon.docker("rmi", image)


def test_an_image_of_an_image_and_of_no_change(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "busybox", "touch", "/one")
    daemon.docker("commit", "box", "one")
    daemon.docker("create", "--name", "unchanged", "one", "true")
    daemon.docker("commit", "unchanged", "two")
    daemon.docker("run", "--name", "third", "two", "touch", "/three")
    daemon.docker("commit", "third", "three")
    assert daemon.docker("run", "--rm", "three", "ls", "/one", "/three").out == "/one\n/three\n"
    daemon.docker("rm", "box", "unchanged", "third")
    daemon.docker("rmi", "one", "two", "three")


def test_what_is_refused(daemon: Engine) -> None:
    daemon.docker("create", "--name", "box", "busybox", "true")
    assert "No such container: nonesuch" in daemon.docker("commit", "nonesuch", check=False).err
    assert "is not a valid change command" in daemon.docker("commit", "--change", "RUN x", "box", check=False).err
    assert daemon.docker("images", "-aq").out.count("\n") == 1
