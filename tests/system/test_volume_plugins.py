"""Volumes of a plug-in: a real one, over a unix socket, in Docker's protocol."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.volume_plugin import VolumePlugin

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static")

SPECS = Path("/etc/docker/plugins")


@pytest.fixture
def name() -> str:
    return f"cove-test-{os.getpid()}"


@pytest.fixture
def plugin(request: pytest.FixtureRequest, name: str, tmp_path: Path) -> Iterator[VolumePlugin]:
    """In a place that only this daemon looks at."""
    engine = request.getfixturevalue("fresh_daemon" if "fresh_daemon" in request.fixturenames else "daemon")
    made = VolumePlugin(engine.exec_root / "plugins" / f"{name}.sock", tmp_path / "volumes")
    yield made
    made.close()


def test_a_volume_from_its_creation_to_its_end(daemon: Engine, plugin: VolumePlugin, name: str, tmp_path: Path) -> None:
    daemon.docker("volume", "create", "-d", name, "-o", "speed=high", "--label", "a=b", "far")
    assert plugin.asked("Create") == [{"Name": "far", "Opts": {"speed": "high"}}]
    [shown] = json.loads(daemon.docker("volume", "inspect", "far").out)
    assert shown["Driver"] == name and shown["Scope"] == "global" and shown["Status"] == {"replicas": 3}
    assert shown["Labels"] == {"a": "b"} and shown["Mountpoint"] == "" and shown["Options"] == {"speed": "high"}
    daemon.docker("run", "-d", "--name", "one", "-v", "far:/data", "busybox", "sleep", "600")
    daemon.docker("run", "--rm", "-v", "far:/data", "busybox", "sh", "-c", "echo there > /data/file")
    assert (tmp_path / "volumes" / "far" / "file").read_text() == "there\n"
    assert daemon.docker("exec", "one", "cat", "/data/file").out == "there\n"
    source = daemon.docker("inspect", "-f", "{{(index .Mounts 0).Source}} {{(index .Mounts 0).Driver}}", "one").out
    assert source == f"{tmp_path}/volumes/far {name}\n"
    assert len(plugin.mounted["far"]) == 1
    daemon.docker("rm", "-f", "one")
    assert plugin.mounted["far"] == set()
    assert len(plugin.asked("Mount")) == len(plugin.asked("Unmount"))
    daemon.docker("volume", "rm", "far")
    assert plugin.asked("Remove") == [{"Name": "far"}] and plugin.volumes == {}


def balanced(plugin: VolumePlugin) -> int:
    """Mounts that were asked for, each of which has had its end."""
    assert plugin.mounted.get("far", set()) == set()
    mounts = len(plugin.asked("Mount"))
    assert mounts == len(plugin.asked("Unmount"))
    return mounts


def test_one_mount_for_all_places_of_a_container(daemon: Engine, plugin: VolumePlugin, name: str) -> None:
    daemon.docker("volume", "create", "-d", name, "far")
    daemon.docker("run", "--rm", "-v", "far:/one", "-v", "far:/two", "busybox", "touch", "/one/file", "/two/more")
    assert balanced(plugin) == 1
    daemon.docker("volume", "rm", "far")


@pytest.mark.needs("cove")
def test_mounts_that_come_and_go_while_a_container_runs(daemon: Engine, plugin: VolumePlugin, name: str) -> None:
    daemon.docker("volume", "create", "-d", name, "far")
    add, bad = "type=volume,source=far,target=/data", "type=volume,source=far,target=/proc/sys"
    daemon.docker("create", "--name", "idle", "busybox", "true")
    daemon.cove("update", "--mount-add", add, "idle")
    assert balanced(plugin) == 0
    daemon.docker("start", "-a", "idle")
    assert balanced(plugin) == 1
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    assert daemon.cove("update", "--mount-add", bad, "box", check=False).code == 1
    assert balanced(plugin) == 2
    daemon.cove("update", "--mount-add", add, "box")
    daemon.cove("update", "--mount-add", "type=volume,source=far,target=/more", "box")
    daemon.cove("update", "--mount-rm", "/data", "box")
    assert len(plugin.mounted["far"]) == 1
    daemon.docker("exec", "box", "touch", "/more/file")
    daemon.cove("update", "--mount-rm", "/more", "box")
    assert balanced(plugin) == 3
    daemon.docker("rm", "-f", "box", "idle")
    assert balanced(plugin) == 3
    daemon.docker("volume", "rm", "far")


def test_volumes_that_only_the_plug_in_knows(daemon: Engine, plugin: VolumePlugin, name: str) -> None:
    plugin.answer("VolumeDriver.Create", {"Name": "theirs"})
    assert f"{name} theirs\n" in daemon.docker("volume", "ls", "--format", "{{.Driver}} {{.Name}}").out
    assert daemon.docker("volume", "ls", "-q", "--filter", f"driver={name}").out == "theirs\n"
    assert daemon.docker("volume", "inspect", "-f", "{{.Driver}}", "theirs").out == f"{name}\n"
    daemon.docker("run", "--rm", "-v", "theirs:/data", "busybox", "touch", "/data/file")
    daemon.docker("volume", "rm", "theirs")
    assert plugin.volumes == {}


def test_words_of_the_plug_in(daemon: Engine, plugin: VolumePlugin, name: str) -> None:
    plugin.refuse = {"Create": "no room left"}
    failed = daemon.docker("volume", "create", "-d", name, "far", check=False)
    assert "Error response from daemon: create far: " in failed.err and "no room left" in failed.err
    plugin.refuse = {"Mount": "the server is away"}
    daemon.docker("create", "--name", "box", "-v", "far:/data", "--volume-driver", name, "busybox", "true")
    failed = daemon.docker("start", "box", check=False)
    assert "error while mounting volume" in failed.err and "the server is away" in failed.err
    assert plugin.asked("Unmount") == []
    plugin.refuse = {"Remove": "somebody has it"}
    daemon.docker("rm", "box")
    failed = daemon.docker("volume", "rm", "far", check=False)
    assert "Error response from daemon: remove far: " in failed.err and "somebody has it" in failed.err
    assert daemon.docker("volume", "ls", "-q").out == "far\n"
    plugin.refuse = {}
    daemon.docker("volume", "rm", "far")


def test_one_that_is_gone(daemon: Engine, plugin: VolumePlugin, name: str) -> None:
    daemon.docker("volume", "create", "-d", name, "far")
    plugin.close()
    assert daemon.docker("volume", "ls", "-q").out == "far\n"
    assert daemon.docker("run", "--rm", "-v", "far:/data", "busybox", "true", check=False).code == 125
    assert daemon.docker("volume", "rm", "far", check=False).code == 1
    daemon.docker("volume", "rm", "-f", "far")
    assert daemon.docker("volume", "ls", "-q").out == ""


@pytest.mark.parametrize("kind", ["spec", "json"])
def test_an_address_in_a_file(daemon: Engine, tmp_path: Path, name: str, kind: str) -> None:
    address = f"unix://{tmp_path}/plugin.sock"
    volume = f"{name}-far"
    file = SPECS / f"{name}-{kind}.{kind}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(address if kind == "spec" else json.dumps({"Name": f"{name}-{kind}", "Addr": address}))
    plugin = VolumePlugin(tmp_path / "plugin.sock", tmp_path / "volumes", scope="local")
    plugin.refuse = {"List": "other daemons look here too"}
    try:
        daemon.docker("volume", "create", "-d", f"{name}-{kind}", volume)
        assert daemon.docker("volume", "inspect", "-f", "{{.Scope}}", volume).out == "local\n"
        daemon.docker("volume", "rm", volume)
    finally:
        plugin.close()
        file.unlink()


@pytest.mark.needs("cove")
def test_after_a_kill_each_mount_has_its_unmount(
    fresh_daemon: Daemon, plugin: VolumePlugin, name: str, tmp_path: Path
) -> None:
    fresh_daemon.docker("volume", "create", "-d", name, "far")
    for box in ("lives", "ends"):
        fresh_daemon.docker("run", "-d", "--name", box, "-v", "far:/data", "busybox", "sh", "-c", WAIT.format(box))
    fresh_daemon.kill9()
    (tmp_path / "volumes" / "far" / "ends").touch()
    fresh_daemon.start()
    fresh_daemon.docker("wait", "ends")
    assert len(plugin.mounted["far"]) == 1, plugin.calls
    fresh_daemon.docker("rm", "-f", "lives", "ends")
    assert plugin.mounted["far"] == set() and len(plugin.asked("Unmount")) == len(plugin.asked("Mount"))
    fresh_daemon.docker("volume", "rm", "far")


WAIT = "while ! [ -e /data/{} ]; do sleep 0.05; done"
