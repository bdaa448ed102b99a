"""``cove inspect --as``: what is printed makes the container again."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.engine import BIN, Engine

pytestmark = pytest.mark.needs("root", "busybox-static", "cove")

PLAIN = ("busybox", "sleep", "600")
MADE = {
    "plain": PLAIN,
    "process": (
        *("-e", "A=b c'd\"$E", "-l", "x=1 2", "-w", "/tmp", "-u", "1:2", "-h", "me", "--domainname", "d.org"),
        *("--stop-signal", "INT", "--stop-timeout", "3", "-it", "--init", "--entrypoint", "sh"),
        *("busybox", "-c", "echo 'a b'; sleep 600"),
    ),
    "limits": (
        *("-m", "64m", "--memory-swap", "128m", "--memory-reservation", "32m", "--cpus", "0.5", "--cpu-shares", "512"),
        *("--pids-limit", "50", "--shm-size", "1m", "--ulimit", "nofile=100:200", "--oom-score-adj", "100"),
        *PLAIN,
    ),
    "security": (
        *("--cap-add", "NET_ADMIN", "--cap-drop", "MKNOD", "--read-only", "--security-opt", "no-new-privileges"),
        *("--group-add", "7", "--sysctl", "net.core.somaxconn=99", "--device", "/dev/null:/dev/x:rw", *PLAIN),
    ),
    "devices": (
        *("--gpus", '"device=0,1","capabilities=compute,utility",driver=x,options=a=b', "--gpus", "all", "--gpus", "2"),
        *("--device", "acme.com/widget=one", "--device", "acme.com/widget=two", *PLAIN),
    ),
    "mounts": (
        *("-v", "data:/data:ro", "-v", "/tmp:/host", "-v", "/anon", "--tmpfs", "/t:size=1m"),
        *("--mount", "type=volume,source=other,target=/o,readonly", "--mount", "type=tmpfs,target=/u,tmpfs-size=4096"),
        *PLAIN,
    ),
    "network": (
        *("--net", "mine", "--network-alias", "db", "--ip", "10.99.0.7", "-p", "127.0.0.1:18099:80", "-p", "53/udp"),
        *("--expose", "99", "--dns", "1.1.1.1", "--add-host", "a:1.2.3.4", *PLAIN),
    ),
    "policies": (
        *("--restart", "on-failure:3", "--log-opt", "max-size=1m", "--health-cmd", "test -e '/a b'"),
        *("--health-interval", "5s", "--health-retries", "7", "--health-on-failure", "kill", *PLAIN),
    ),
    "namespaces": ("--ipc", "host", "--pid", "host", "--net", "host", "--rm", *PLAIN),
}


def inspected(engine: Engine) -> Any:
    found = json.loads(engine.cove("inspect", "box").out)[0]
    mounts = sorted((m["Type"], m["Destination"], m["RW"], len(m.get("Name") or "") == 64) for m in found["Mounts"])
    config = {**found["Config"], "Hostname": found["Config"]["Hostname"].replace(found["Id"][:12], "ID")}
    networks = {
        name: (one["IPAMConfig"], [alias for alias in one["Aliases"] or [] if alias != found["Id"][:12]])
        for name, one in found["NetworkSettings"]["Networks"].items()
    }
    return {"config": config, "host": found["HostConfig"], "mounts": mounts, "networks": networks}


@pytest.mark.parametrize("case", MADE)
def test_the_command_makes_it_again(daemon: Engine, case: str) -> None:
    if case == "network":
        daemon.docker("network", "create", "--subnet", "10.99.0.0/24", "mine")
    begin = ("run", "-d") if case == "plain" else ("create",)
    daemon.cove(*begin, "--name", "box", *MADE[case])
    before = inspected(daemon)
    words = shlex.split(daemon.cove("inspect", "--as", "run", "box").out)
    assert words[:2] == ["cove", "run"]
    daemon.cove("rm", "-f", "box", "--now")
    daemon.cove("create", *[word for word in words[2:] if word != "--detach"])
    after = inspected(daemon)
    for key in ("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"):
        before["config"].pop(key), after["config"].pop(key)
    assert after == before
    if case == "plain":
        assert words == ["cove", "run", "--detach", "--name", "box", *PLAIN]


def test_a_compose_file(daemon: Engine) -> None:
    daemon.docker("network", "create", "mine")
    options = ("-e", "A=$b", "-m", "64m", "-v", "data:/data", "-p", "18099:80", "--net", "mine", "--restart", "always")
    daemon.cove("run", "-d", "--name", "box", *options, *PLAIN)
    text = daemon.cove("inspect", "--as", "compose", "box").out
    for line in (
        "services:",
        "  box:",
        '    image: "busybox"',
        '      - "A=$$b"',
        "    mem_limit: 67108864",
        '      - "18099:80"',
        '    restart: "always"',
        "networks:",
        "    external: true",
        '      - "sleep"',
    ):
        assert line in text.splitlines(), text


def test_compose_makes_it_again(daemon: Engine, tmp_path: Path) -> None:
    daemon.docker("network", "create", "--subnet", "10.99.0.0/24", "mine")
    options = (
        *("-e", "A=$b 'c'", "-m", "64m", "--cpus", "0.5", "-v", "data:/data:ro", "-v", "/tmp:/host", "--tmpfs", "/t"),
        *("-p", "127.0.0.1:18099:80", "--net", "mine", "--ip", "10.99.0.7", "--restart", "on-failure:3", "-u", "1:2"),
        *("--health-cmd", "test -e '/a b'", "--health-interval", "5s", "--ulimit", "nofile=100:200", "--init"),
        *("--cap-add", "NET_ADMIN", "--read-only", "--stop-signal", "INT", "--shm-size", "1m", "-l", "x=$y"),
        *("--gpus", '"device=0,1",capabilities=compute', "--device", "acme.com/widget=one"),
    )
    daemon.cove("create", "--name", "box", *options, "busybox", "sh", "-c", "echo $HOME; sleep 600")
    before = inspected(daemon)
    file = tmp_path / "compose.yaml"
    file.write_text(daemon.cove("inspect", "--as", "compose", "box").out)
    daemon.cove("rm", "--now", "box")
    argv = [str(BIN / "docker-compose"), "--project-name", "again", "--file", str(file), "create", "--pull", "never"]
    done = subprocess.run(argv, env=daemon.client_environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    after = inspected(daemon)
    for key in ("Env", "Cmd", "Entrypoint", "User", "Healthcheck", "StopSignal", "Image"):
        assert after["config"][key] == before["config"][key], key
    for key in ("Memory", "NanoCpus", "PortBindings", "RestartPolicy", "Ulimits", "Init", "CapAdd", "ReadonlyRootfs"):
        assert after["host"][key] == before["host"][key], key
    assert after["host"]["ShmSize"] == 1 << 20 and after["config"]["Labels"]["x"] == "$y"
    assert after["mounts"] == before["mounts"] and after["networks"]["mine"][0] == before["networks"]["mine"][0]


def test_what_it_refuses(daemon: Engine) -> None:
    daemon.cove("create", "--name", "box", *PLAIN)
    assert "must be" in daemon.cove("inspect", "--as", "nothing", "box", check=False).err
    assert "--format" in daemon.cove("inspect", "--as", "run", "--format", "json", "box", check=False).err
    assert daemon.cove("inspect", "--as", "run", "nobody", check=False).code == 1
