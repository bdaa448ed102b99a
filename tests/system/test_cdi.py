"""Devices by their CDI names, of a vendor of the test's own, and GPUs, which are such devices."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


class Vendor:
    """Puts files into the engine's directories."""

    def __init__(self, daemon: Daemon, base: Path) -> None:
        self.first, self.later = daemon.cdi_directories
        self.base = base
        for directory in daemon.cdi_directories:
            directory.mkdir(exist_ok=True)

    def put(self, devices: dict[str, dict[str, Any]], *, kind: str = "acme.com/widget", **more: Any) -> Path:
        named = [{"name": name, "containerEdits": edits} for name, edits in devices.items()]
        path = self.first / f"{kind.replace('/', '-')}.json"
        path.write_text(json.dumps({"cdiVersion": "0.7.0", "kind": kind, "devices": named, **more}))
        return path

    def hook(self, name: str, script: str) -> dict[str, Any]:
        """A hook that runs a script of the shell."""
        program = self.base / f"{name}.sh"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return {"hookName": name, "path": str(program), "args": ["hook", name], "env": ["MARK=acme"], "timeout": 5}


@pytest.fixture
def vendor(daemon: Engine, tmp_path: Path) -> Iterator[Vendor]:
    assert isinstance(daemon, Daemon)
    yield Vendor(daemon, tmp_path)
    for directory in daemon.cdi_directories:
        shutil.rmtree(directory, ignore_errors=True)


def run(daemon: Engine, script: str, *flags: str) -> str:
    return daemon.docker("run", "--rm", *flags, "busybox", "sh", "-c", f"({script}) 2>&1").out


def refusal(daemon: Engine, *flags: str) -> str:
    done = daemon.docker("run", "--rm", *flags, "busybox", "true", check=False)
    assert done.code in (125, 126, 127)
    return done.err


@pytest.mark.cgroup2
@pytest.mark.parametrize("client", ["docker", "cove"])
def test_a_device_with_all_its_edits(daemon: Engine, vendor: Vendor, client: str) -> None:
    (vendor.base / "lib").mkdir()
    (vendor.base / "lib" / "driver.so").write_text("driver\n")
    told = vendor.base / "told"
    kmsg = {"path": "/dev/widget", "hostPath": "/dev/kmsg", "permissions": "w", "fileMode": 0o640, "gid": 7}
    edits = {
        "env": ["WIDGET=one", "GIVEN=vendor"],
        "deviceNodes": [kmsg, {"path": "/dev/made", "type": "c", "major": 1, "minor": 5}],
        "mounts": [{"hostPath": str(vendor.base / "lib"), "containerPath": "/opt/acme", "options": ["ro", "bind"]}],
        "hooks": [vendor.hook("createRuntime", f"cat > {told}; echo $MARK $1 >> {told}")],
        "additionalGids": [4242],
    }
    vendor.put({"one": edits, "two": {"env": ["OTHER=two"]}}, containerEdits={"env": ["EVERY=1"]})
    script = (
        "echo $WIDGET $OTHER $EVERY $GIVEN; id -G; cat /opt/acme/driver.so; touch /opt/acme/x; ls -l /dev/widget;"
        "(exec 3> /dev/widget) && echo written; dd if=/dev/widget bs=1 count=1;"
        "dd if=/dev/made bs=1 count=1 of=/dev/null"
    )
    flags = ("--device", "acme.com/widget=one", "--device", "acme.com/widget=two", "-e", "GIVEN=user")
    command = ("run", "--rm", *flags, "busybox", "sh", "-c", f"({script}) 2>&1")
    done = (daemon.docker if client == "docker" else daemon.cove)(*command, check=False)
    output = done.out
    assert not done.err
    lines = output.splitlines()
    assert lines[0] == "one two 1 vendor"
    assert "4242" in lines[1].split()
    assert lines[2] == "driver"
    assert "touch: /opt/acme/x: Read-only file system" in output
    assert "crw-r-----" in output
    assert "written" in output
    assert "can't open '/dev/widget': Operation not permitted" in output
    assert "1+0 records out" in output
    state, _, mark = told.read_text().rpartition("}")
    assert json.loads(state + "}")["status"] == "creating"
    assert mark.strip() == "acme createRuntime"


def test_hooks_of_every_name(daemon: Engine, vendor: Vendor) -> None:
    told = vendor.base / "told"
    hooks = [vendor.hook(name, f"echo $1 >> {told}") for name in HOOKS if name != "startContainer"]
    inside = {"hookName": "startContainer", "path": "/bin/touch", "args": ["touch", "/started"]}
    vendor.put({"one": {"hooks": [*hooks, inside]}})
    assert run(daemon, "ls /started", "--device", "acme.com/widget=one") == "/started\n"
    ran = [name for name in HOOKS if name != "startContainer"]
    eventually(lambda: told.read_text().split() == ran)


def test_hooks_find_the_network(daemon: Engine, vendor: Vendor) -> None:
    told = vendor.base / "told"
    script = f"""pid=$(sed 's/.*"pid": \\([0-9]*\\).*/\\1/'); cat /proc/$pid/net/dev > {told}"""
    vendor.put({"one": {"hooks": [vendor.hook("createRuntime", script)]}})
    run(daemon, "true", "--device", "acme.com/widget=one")
    assert "eth0:" in told.read_text()


@pytest.mark.needs("crun")
def test_hooks_run_once_below_another_runtime(daemon: Engine, vendor: Vendor) -> None:
    told = vendor.base / "told"
    hooks = [vendor.hook(name, f"echo $1 >> {told}") for name in ("createRuntime", "poststart", "poststop")]
    vendor.put({"one": {"hooks": hooks, "env": ["WIDGET=1"]}})
    assert run(daemon, "echo $WIDGET", "--device", "acme.com/widget=one", "--runtime", "crun") == "1\n"
    eventually(lambda: sorted(told.read_text().split()) == ["createRuntime", "poststart", "poststop"])


def test_a_hook_that_fails_ends_the_start(daemon: Engine, vendor: Vendor) -> None:
    vendor.put({"one": {"hooks": [vendor.hook("createContainer", "echo no widget today >&2; exit 3")]}})
    assert "no widget today" in refusal(daemon, "--device", "acme.com/widget=one")


def test_privileged(daemon: Engine, vendor: Vendor) -> None:
    vendor.put({"one": {"env": ["WIDGET=1"], "deviceNodes": [{"path": "/dev/kmsg", "fileMode": 0o600, "uid": 5}]}})
    script = "echo $WIDGET; stat -c %u /dev/kmsg; ls /dev/full; (exec 3> /dev/kmsg) && echo written"
    output = run(daemon, script, "--privileged", "--device", "acme.com/widget=one")
    assert output == "1\n5\n/dev/full\nwritten\n"


def test_each_start_sees_the_files_as_they_are(daemon: Engine, vendor: Vendor) -> None:
    vendor.put({"one": {"env": ["WIDGET=old"]}})
    flags = ("--name", "box", "--device", "acme.com/widget=one")
    daemon.docker("create", *flags, "busybox", "sh", "-c", "echo $WIDGET")
    assert daemon.docker("start", "-a", "box").out == "old\n"
    text = "cdiVersion: 0.3.0\nkind: acme.com/widget\ndevices:\n- name: one\n  containerEdits:\n    env: [WIDGET=new]\n"
    (vendor.later / "acme.yaml").write_text(text)
    assert daemon.docker("start", "-a", "box").out == "new\n"
    shutil.rmtree(vendor.later)
    shutil.rmtree(vendor.first)
    done = daemon.docker("start", "box", check=False)
    assert "CDI device injection failed: unresolvable CDI devices acme.com/widget=one" in done.err
    assert json.loads(daemon.docker("inspect", "box").out)[0]["State"]["Status"] == "exited"
    vendor.first.mkdir()
    vendor.put({"one": {"env": ["WIDGET=again"]}})
    assert daemon.docker("start", "-a", "box").out == "again\n"


def test_errors_name_the_file_and_the_field(daemon: Engine, vendor: Vendor) -> None:
    bad = vendor.first / "bad.json"
    bad.write_text('{"cdiVersion": "0.6.0", "kind": "acme.com/widget", "devices": [{"name": 1}]}')
    words = f"{bad}: devices[0].name: Expected `str`, got `int`"
    unresolvable = "CDI device injection failed: unresolvable CDI devices acme.com/widget=one, acme.com/widget=two"
    error = refusal(daemon, "--device", "acme.com/widget=one", "--device", "acme.com/widget=two")
    assert f"{unresolvable}; {words}" in error
    assert f"CDI: Error associated with spec file {words}" in daemon.docker("info").err
    path = vendor.put({"one": {"deviceNodes": [{"path": "/dev/nope"}]}, "rdt": {"intelRdt": {"closID": "x"}}})
    place = f"CDI device injection failed: failed to inject devices: {path}: devices"
    stat = 'failed to stat CDI host device "/dev/nope": no such file or directory'
    assert f"{place}[0].containerEdits.deviceNodes[0]: {stat}" in refusal(daemon, "--device", "acme.com/widget=one")
    assert f"{place}[1].containerEdits.intelRdt: " in refusal(daemon, "--device", "acme.com/widget=rdt")


def test_info(daemon: Engine, vendor: Vendor) -> None:
    vendor.put({"one": {"env": ["A=b"]}, "two": {"env": ["A=b"]}})
    shown = daemon.http("GET", "/info").json()
    assert shown["CDISpecDirs"] == [str(vendor.first), str(vendor.later)]
    names = ["acme.com/widget=one", "acme.com/widget=two"]
    assert shown["DiscoveredDevices"] == [{"Source": "cdi", "ID": name} for name in names]
    assert "DiscoveredDevices" not in daemon.http("GET", "/v1.49/info").json()
    assert "CDISpecDirs" not in daemon.http("GET", "/v1.43/info").json()
    assert " Discovered Devices:\n  cdi: acme.com/widget=one\n" in daemon.cove("info").out


def test_gpus(daemon: Engine, vendor: Vendor) -> None:
    none = 'could not select device driver "" with capabilities: [[gpu]]'
    assert none in refusal(daemon, "--gpus", "all")
    vendor.put({name: {"env": [f"AMD_{name}=1"]} for name in ("0", "all")}, kind="amd.com/gpu")
    assert run(daemon, "env | grep AMD", "--gpus", "all") == "AMD_all=1\n"
    vendor.put({name: {"env": [f"GPU_{name}=1"]} for name in ("0", "1", "all")}, kind="nvidia.com/gpu")
    assert run(daemon, "env | grep -e GPU -e AMD", "--gpus", "all") == "GPU_all=1\n"
    assert run(daemon, "env | grep GPU", "--gpus", "2") == "GPU_0=1\nGPU_1=1\n"
    assert run(daemon, "env | grep GPU", "--gpus", '"device=1"') == "GPU_1=1\n"
    assert run(daemon, "env | grep GPU", "--gpus", '"capabilities=compute,utility"') == "GPU_0=1\n"
    assert "unresolvable CDI devices nvidia.com/gpu=2" in refusal(daemon, "--gpus", "3")
    assert 'could not select device driver "acme" with capabilities: [[gpu]]' in refusal(
        daemon, "--gpus", "driver=acme"
    )


def test_many_at_once_while_files_change(daemon: Engine, vendor: Vendor) -> None:
    vendor.put({"one": {"env": ["WIDGET=1"]}})
    command = ("run", "--rm", "--device", "acme.com/widget=one", "busybox", "sh", "-c", "echo $WIDGET")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemon.spawned("docker", *command)) for _ in range(6)]
        while any(client.poll() is None for client in clients):
            vendor.put({"one": {"env": ["WIDGET=1"]}}, kind="acme.com/other").unlink()
        assert [client.communicate()[0] for client in clients] == [b"1\n"] * 6
