"""SIGHUP: what a daemon that goes on takes over from its configuration file, by what it then does and shows."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.engine import BIN
from harness.lies import told
from harness.lying_registry import lying_registry
from harness.registry import Registry
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")


class Configured(Daemon):
    """A daemon that reads a file, which says nothing at first."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.file = self.base / "daemon.json"
        self.file.write_text("{}")
        self.flags = (f"--config-file={self.file}",)

    def reload(self, **settings: Any) -> dict[str, str]:
        """Have it read these settings, ``_`` for ``-``; the attributes of the event that told of it."""
        self.file.write_text(json.dumps({key.replace("_", "-"): value for key, value in settings.items()}))
        before = len(self._reloads())
        os.kill(self.pid, signal.SIGHUP)
        return eventually(self._reloads, lambda told: len(told) > before)[-1]

    def _reloads(self) -> list[dict[str, str]]:
        between = ("--since", "1h", "--until", f"{time.time():.9f}", "--filter", "type=daemon")
        lines = self.docker("events", *between, "--filter", "event=reload", "--format", "{{json .}}").out.splitlines()
        return [json.loads(line)["Actor"]["Attributes"] for line in lines]

    def info(self) -> Any:
        return self.http("GET", "/info").json()


@pytest.fixture(scope="module")
def _configured() -> Iterator[Configured]:
    daemon = Configured(f"cove-test-{os.getpid()}-reload")
    try:
        daemon.start()
        daemon.load_base_image()
        yield daemon
    finally:
        daemon.close()


@pytest.fixture
def configured(_configured: Configured) -> Iterator[Configured]:
    yield _configured
    _configured.reload()


def test_the_event_says_each_value(configured: Configured) -> None:
    given = {
        "debug": True,
        "labels": ["a=b", "c=d"],
        "max_concurrent_downloads": 7,
        "max_concurrent_uploads": 8,
        "max_download_attempts": 9,
        "live_restore": False,
        "default_shm_size": 1 << 20,
    }
    told = configured.reload(**given)
    shown = {key.replace("_", "-"): json.dumps(value, separators=(",", ":")) for key, value in given.items()}
    assert shown.items() <= told.items()
    assert told["name"] == configured.info()["Name"]


def test_debug_and_labels(configured: Configured) -> None:
    assert (configured.info()["Debug"], configured.info()["Labels"]) == (False, [])
    configured.reload(debug=True, labels=["a=b"])
    assert (configured.info()["Debug"], configured.info()["Labels"]) == (True, ["a=b"])
    configured.reload()
    assert (configured.info()["Debug"], configured.info()["Labels"]) == (False, [])


def test_runtimes_and_which_of_them_is_the_default(configured: Configured) -> None:
    refused = configured.docker("run", "--rm", "--runtime", "mine", "busybox", "true", check=False)
    assert refused.code == 125 and "mine" in refused.err
    told = configured.reload(runtimes={"mine": {"path": str(BIN / "cove-oci")}})
    assert f"mine:{BIN / 'cove-oci'}" in told["runtimes"].split()
    assert configured.docker("run", "--rm", "--runtime", "mine", "busybox", "echo", "here").out == "here\n"
    assert configured.info()["Runtimes"]["mine"]["path"] == str(BIN / "cove-oci")
    before = configured.info()["DefaultRuntime"]
    told = configured.reload(runtimes={"mine": {"path": str(BIN / "cove-oci")}}, default_runtime="mine")
    assert told["default-runtime"] == configured.info()["DefaultRuntime"] == "mine" != before
    configured.docker("run", "--name", "box", "busybox", "true")
    assert configured.docker("inspect", "-f", "{{.HostConfig.Runtime}}", "box").out == "mine\n"
    configured.docker("rm", "box")


def test_the_size_of_shared_memory(configured: Configured) -> None:
    look = ("run", "--rm", "busybox", "sh", "-c", "df -m /dev/shm | tail -1 | awk '{print $2}'")
    assert configured.docker(*look).out == "64\n"
    configured.reload(default_shm_size="8m")
    assert configured.docker(*look).out == "8\n"


def test_namespaces_of_containers_that_name_none(configured: Configured) -> None:
    def modes() -> list[str]:
        configured.docker("create", "--name", "box", "busybox", "true")
        shown = configured.docker("inspect", "-f", "{{.HostConfig.IpcMode}} {{.HostConfig.CgroupnsMode}}", "box")
        configured.docker("rm", "box")
        return shown.out.split()

    assert modes() == ["private", "private"]
    told = configured.reload(default_ipc_mode="shareable", default_cgroupns_mode="host")
    assert [told["default-ipc-mode"], told["default-cgroupns-mode"]] == modes() == ["shareable", "host"]


def test_insecure_registries(configured: Configured, tmp_path: Path) -> None:
    """One that is not on the loopback, which is always trusted."""
    with Registry(tmp_path / "registry", engine=configured, address="172.17.0.1:0") as registry:
        name = f"{registry.host}/app:1"
        configured.docker("tag", "busybox", name)
        assert configured.docker("push", name, check=False).code == 1
        told = configured.reload(insecure_registries=[registry.host, "10.11.0.0/16"])
        assert json.loads(told["insecure-registries"]) == [registry.host, "10.11.0.0/16"]
        shown = configured.info()["RegistryConfig"]
        assert "10.11.0.0/16" in shown["InsecureRegistryCIDRs"]
        assert shown["IndexConfigs"][registry.host]["Secure"] is False
        configured.docker("push", name)
    configured.docker("rmi", name)


def test_registry_mirrors(configured: Configured, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry", engine=configured) as registry:
        configured.docker("tag", "busybox", f"{registry.host}/library/app:1")
        configured.docker("push", f"{registry.host}/library/app:1")
        assert configured.docker("pull", "app:1", check=False).code == 1
        told = configured.reload(registry_mirrors=[f"http://{registry.host}"])
        assert json.loads(told["registry-mirrors"]) == [f"http://{registry.host}"]
        assert configured.info()["RegistryConfig"]["Mirrors"] == [f"http://{registry.host}/"]
        configured.docker("pull", "app:1")
        configured.docker("rmi", "app:1", f"{registry.host}/library/app:1")


def test_downloads_at_once(configured: Configured) -> None:
    """While the layer of one pull does not come, that of another waits, and after the reload a third does not."""
    configured.reload(max_concurrent_downloads=1)
    with lying_registry(configured) as registry:

        def asked_for(lie: str, name: str) -> bool:
            layer = told(f"{lie}/{name}").layer
            return any(layer in request["path"] for request in registry.requests(lie, name))

        goes_on = registry.image("honest", "b")
        with configured.spawned("docker", "pull", registry.image("stall", "first")) as first:
            eventually(lambda: asked_for("stall", "first"))
            with configured.spawned("docker", "pull", registry.image("honest", "a")) as second:
                assert second.stdout is not None
                while b"Waiting" not in (line := second.stdout.readline()):
                    assert line, "it ended"
                configured.reload(max_concurrent_downloads=3)
                configured.docker("pull", goes_on)
                assert not asked_for("honest", "a")
                first.kill()
                assert second.wait(20) == 0
    configured.docker("rmi", goes_on, registry.image("honest", "a"))


def test_attempts_at_a_download(configured: Configured) -> None:
    with lying_registry(configured) as registry:
        for attempts in (1, 2):
            configured.reload(max_download_attempts=attempts)
            name = f"after{attempts}"
            assert configured.docker("pull", registry.image("500", name), check=False).code == 1
            blobs = [request["path"] for request in registry.requests("500", name) if "/blobs/" in request["path"]]
            assert max(Counter(blobs).values()) == attempts
