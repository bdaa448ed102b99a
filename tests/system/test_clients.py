"""Programs that were written for Docker, unmodified: Compose, and the SDKs that Python has."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from socket import SHUT_WR
from typing import Any

import aiodocker
import pytest
from docker import DockerClient
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from python_on_whales import DockerClient as Whales
from python_on_whales.exceptions import DockerException, NoSuchContainer

from harness.compose import Compose
from harness.engine import BIN, Engine

pytestmark = [pytest.mark.needs("root", "docker-cli", "busybox-static")]

PROJECT = """
services:
  db:
    image: busybox
    command: ["sh", "-c", "touch /data/ready; exec httpd -f -p 80 -h /data"]
    volumes: ["data:/data"]
    stop_grace_period: 100ms
    healthcheck:
      test: ["CMD", "test", "-e", "/data/ready"]
      interval: 100ms
      timeout: 10s
      retries: 100
  web:
    image: busybox
    command: ["sh", "-c", "echo web is here; exec sleep 600"]
    environment: {GREETING: hello}
    ports: ["18085:80"]
    stop_grace_period: 100ms
    depends_on:
      db:
        condition: service_healthy
volumes:
  data:
"""


@pytest.mark.timeout(180)
def test_compose(daemon: Engine, tmp_path: Path) -> None:
    compose = Compose(daemon, tmp_path, PROJECT)
    compose("up", "--detach", "--quiet-pull")
    assert compose.states() == {"db": ("running", "healthy"), "web": ("running", "")}
    db, web = (daemon.sdk.containers.get(f"shop-{name}-1") for name in ("db", "web"))
    assert db.attrs["State"]["Health"]["Log"][-1]["ExitCode"] == 0
    assert web.attrs["State"]["StartedAt"] > db.attrs["State"]["Health"]["Log"][0]["End"]
    assert compose("logs", "--no-color", "--no-log-prefix", "web") == "web is here\n"
    assert compose("exec", "-T", "web", "sh", "-c", "echo $GREETING") == "hello\n"
    assert compose("exec", "-T", "db", "ls", "/data") == "ready\n"
    assert compose("port", "web", "80").strip() == "0.0.0.0:18085"
    compose("up", "--detach", "--quiet-pull")
    assert web.id == daemon.sdk.containers.get("shop-web-1").id  # nothing has changed: nothing is made anew
    compose("restart", "web")
    assert daemon.sdk.containers.get("shop-web-1").attrs["State"]["StartedAt"] > web.attrs["State"]["StartedAt"]
    compose("stop")
    assert {state for state, _ in compose.states().values()} == {"exited"}
    compose("down", "--volumes")
    assert daemon.docker("ps", "-aq").out == "" and daemon.docker("volume", "ls", "-q").out == ""
    assert daemon.docker("network", "ls", "-q", "--filter", "name=shop").out == ""


def test_sdk(daemon: Engine) -> None:
    client: DockerClient = daemon.sdk
    assert client.ping() and client.info()["Containers"] == 0 and client.version()["ApiVersion"]
    made = client.containers.run(
        "busybox",
        ["sh", "-c", "echo $A; pwd; id -u; cat"],
        detach=True,
        stdin_open=True,
        environment={"A": "b"},
        working_dir="/made",
        user="7",
        labels={"l": "1"},
        mem_limit="64m",
        name="sdk",
    )
    assert made.status in ("created", "running") and made.labels == {"l": "1"}
    assert made.attrs["HostConfig"]["Memory"] == 64 << 20
    code, output = made.exec_run(["sh", "-c", "echo out; echo err >&2; exit 3"], demux=True)
    assert (code, output) == (3, (b"out\n", b"err\n"))
    socket = made.attach_socket(params={"stdin": 1, "stream": 1})
    socket._sock.sendall(b"typed\n")
    socket._sock.shutdown(SHUT_WR)
    socket._response.close()
    socket.close()
    lines = made.logs(stream=True, follow=True)
    assert any(b"typed" in line for line in lines)
    lines.close()
    lines._response.close()  # which the SDK leaves to the garbage collector
    made.put_archive("/tmp", _tar("file", b"content"))
    stream, stat = made.get_archive("/tmp/file")
    assert stat["size"] == 7 and b"content" in b"".join(stream)
    assert made.top()["Titles"] and made.stats(stream=False)["memory_stats"]["limit"] == 64 << 20
    made.pause()
    made.reload()
    assert made.status == "paused"
    made.unpause()
    made.rename("renamed")
    made.update(mem_limit="96m", memswap_limit="96m")
    assert {change["Path"] for change in made.diff()} >= {"/tmp/file", "/made"}
    image = made.commit("committed", "1", message="m", author="a")
    assert image.tags == ["committed:1"] and client.images.get("committed:1").id == image.id
    made.kill("SIGTERM")
    made.stop(timeout=0)
    assert made.wait()["StatusCode"] == 137
    made.remove(v=True)
    client.images.remove("committed:1")
    with pytest.raises(NotFound):
        client.containers.get("renamed")


def _tar(name: str, content: bytes) -> bytes:
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_sdk_errors(daemon: Engine) -> None:
    client = daemon.sdk
    with pytest.raises(ContainerError) as failed:
        client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 5"], remove=True)
    assert failed.value.exit_status == 5 and failed.value.stderr == b"bad\n"
    with pytest.raises(ImageNotFound):
        client.images.get("nothing")
    with pytest.raises(APIError) as refused:
        client.containers.create("busybox", mem_limit=1)
    assert refused.value.status_code == 400 and "6MB" in refused.value.explanation


def test_sdk_groups(daemon: Engine) -> None:
    client = daemon.sdk
    network = client.networks.create("sdknet", labels={"l": "1"})
    volume = client.volumes.create("sdkvolume", labels={"l": "1"})
    made = client.containers.create("busybox", "sleep 60", volumes={"sdkvolume": {"bind": "/v"}}, network="sdknet")
    made.start()
    network.reload()
    assert [one.id for one in network.containers] == [made.id]
    assert client.containers.list(filters={"network": network.id[:20]}) == [made]
    assert client.containers.list(filters={"volume": "sdkvolume"}) == [made]
    other = client.networks.create("sdkother")
    other.connect(made, aliases=["other"])
    made.reload()
    assert made.attrs["NetworkSettings"]["Networks"]["sdkother"]["Aliases"] == ["other"]
    other.disconnect(made)
    other.remove()
    usage = client.df()
    assert usage["VolumeUsage"]["TotalCount"] == 1 and usage["ContainerUsage"]["ActiveCount"] == 1
    made.remove(force=True)
    assert client.networks.prune(filters={"label": "l"})["NetworksDeleted"] == ["sdknet"]
    volume.remove()


def test_aiodocker(daemon: Engine) -> None:
    async def body() -> None:
        async with aiodocker.Docker(url=f"unix://{daemon.socket}") as client:
            made = await client.containers.create(
                {"Image": "busybox", "Cmd": ["sh", "-c", "read x; echo got $x"], "OpenStdin": True}, name="aio"
            )
            async with made.attach(stdin=True, stdout=True, stderr=True) as stream:
                await made.start()
                await stream.write_in(b"word\n")
                message = await stream.read_out()
            assert message is not None and message.data == b"got word\n"
            assert (await made.wait())["StatusCode"] == 0
            assert [line async for line in made.log(stdout=True, follow=True)] == ["got word\n"]
            socket = await made.websocket(stdin=True, stdout=True, stream=True)
            await made.start()
            await socket.send_bytes(b"again\n")
            assert (await socket.receive()).data == b"got again\n"
            await socket.close()
            await made.wait()
            await made.start()
            execution = await made.exec(["sh", "-c", "echo from exec"])
            async with execution.start(detach=False) as stream:
                answer = await stream.read_out()
                assert await stream.read_out() is None  # it has ended
            assert answer is not None and answer.data == b"from exec\n"
            assert (await execution.inspect())["ExitCode"] == 0
            assert (await made.show())["State"]["Running"]
            await made.delete(force=True)
            volume = await client.volumes.create({"Name": "aiovolume"})
            await volume.delete()
            with pytest.raises(aiodocker.DockerError) as refused:
                await client.images.inspect("nothing")
            assert refused.value.status == 404

    asyncio.run(body())


@pytest.fixture
def whales(daemon: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in daemon.client_environment().items():
        monkeypatch.setenv(name, value)
    yield Whales(host=f"unix://{daemon.socket}")


def test_python_on_whales(whales: Any) -> None:
    assert whales.run("busybox", ["echo", "hello"], remove=True) == "hello"
    made = whales.run("busybox", ["sleep", "60"], detach=True, name="whale", publish=[(18086, 80)], labels={"l": "1"})
    assert made.state.running and made.network_settings.ports["80/tcp"][0]["HostPort"] == "18086"
    assert whales.container.execute(made, ["echo", "inside"]) == "inside"
    assert made.config.labels == {"l": "1"} and made.host_config.network_mode == "bridge"
    assert [one.name for one in whales.ps(filters=[("label", "l")])] == ["whale"]
    assert whales.container.stats([made])[0].container_name == "whale"
    made.pause()
    assert made.state.paused
    made.unpause()
    assert whales.container.diff(made) == {}
    info = whales.system.info()
    assert info.containers_running == 1 and info.driver == "overlay2" and not info.swarm.control_available
    assert whales.system.disk_free().containers.active == 1
    made.remove(force=True)
    with pytest.raises(NoSuchContainer):
        whales.container.inspect("whale")
    with pytest.raises(DockerException):
        whales.run("busybox", ["sh", "-c", "exit 4"], remove=True)


@pytest.mark.needs("cove")
def test_testcontainers(daemon: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own: it reads its settings when it is imported."""
    program = """
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy
made = DockerContainer("busybox").with_command(["sh", "-c", "echo ready to go; exec sleep 60"])
made.with_env("A", "b").with_exposed_ports(80).waiting_for(LogMessageWaitStrategy("ready to go"))
with made as running:
    code, output = running.exec(["sh", "-c", "echo $A"])
    assert (code, output) == (0, b"b\\n"), (code, output)
    assert int(running.get_exposed_port(80)) > 0
    assert b"ready to go" in running.get_logs()[0]
print("done")
"""
    environment = {**daemon.client_environment(), "TESTCONTAINERS_RYUK_DISABLED": "true"}
    done = subprocess.run(
        [str(BIN / "python"), "-c", program], env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.stdout == "done\n", done.stderr
    assert daemon.docker("ps", "-aq").out == ""
    assert os.path.exists(daemon.socket)
