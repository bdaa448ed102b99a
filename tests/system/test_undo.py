"""``cove undo`` and the trash: what was removed comes back, and clients of the API see that it is gone."""

import json
import os

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static", "cove")


def trash(engine: Engine) -> list[str]:
    return engine.cove("trash", "ls", "--format", "{{.Name}}").out.split()


def test_the_last_one_comes_back_as_it_was(daemon: Engine) -> None:
    daemon.docker(
        "run", "--name", "box", "-l", "a=b", "busybox", "sh", "-c", "echo hello; echo kept > /file; exit 3", check=False
    )
    before = daemon.http("GET", "/containers/box/json").json()
    daemon.docker("rm", "box")
    assert daemon.http("GET", "/containers/box/json").status == 404
    assert daemon.docker("ps", "-aq").out == ""
    assert daemon.http("GET", f"/containers/{before['Id']}/logs?stdout=1").status == 404
    assert daemon.cove("undo").out == "box\n"
    assert daemon.http("GET", "/containers/box/json").json() == before
    assert daemon.docker("logs", "box").out == "hello\n"
    assert daemon.docker("cp", "box:/file", "-").out.endswith("\0") and trash(daemon) == []
    daemon.docker("start", "-a", "box", check=False)
    assert daemon.docker("logs", "box").out == "hello\nhello\n"


def test_the_name_is_free_at_once_and_undo_says_what_to_do(daemon: Engine) -> None:
    first = daemon.docker("create", "--name", "box", "busybox").out.strip()
    daemon.docker("rm", "box")
    second = daemon.docker("create", "--name", "box", "busybox").out.strip()
    refused = daemon.cove("undo", check=False)
    assert refused.code == 1 and f'is already in use by container "{second}"' in refused.err and "--name" in refused.err
    assert trash(daemon) == ["box"]
    bad = daemon.cove("undo", "--name", "a b", check=False)
    assert bad.code == 1 and "Invalid container name" in bad.err
    assert daemon.cove("undo", "--name", "old").out == "old\n"
    assert daemon.docker("inspect", "-f", "{{.Id}}", "old").out.strip() == first


def test_forced_while_it_ran_with_its_anonymous_volume(daemon: Engine) -> None:
    daemon.docker(
        "run", "-d", "--name", "box", "-v", "/data", "busybox", "sh", "-c", "echo precious > /data/x; sleep 99"
    )
    eventually(lambda: daemon.docker("exec", "box", "cat", "/data/x", check=False).code == 0)
    volume = daemon.docker("volume", "ls", "-q").out.strip()
    daemon.docker("rm", "-fv", "box")
    assert daemon.docker("volume", "ls", "-q").out == ""
    assert daemon.http("GET", f"/volumes/{volume}").status == 404
    daemon.cove("undo", "box")
    assert daemon.docker("volume", "ls", "-q").out.strip() == volume
    assert daemon.docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box").out == "exited 137\n"
    daemon.docker("start", "box")
    assert daemon.docker("exec", "box", "cat", "/data/x").out == "precious\n"


def test_what_is_gone_meanwhile_is_told(daemon: Engine) -> None:
    daemon.docker("network", "create", "mine")
    daemon.docker("create", "--name", "box", "--net", "mine", "-v", "named:/data", "busybox")
    daemon.docker("rm", "box")
    daemon.docker("network", "rm", "mine")
    daemon.docker("volume", "rm", "named")
    done = daemon.cove("undo", "box")
    assert "network mine no longer exists" in done.err
    assert "volume named was removed meanwhile" in done.err
    assert daemon.docker("volume", "ls", "-q").out == "named\n"
    assert "network mine not found" in daemon.docker("start", "box", check=False).err


def test_an_image_that_only_the_trash_needs(daemon: Engine) -> None:
    daemon.docker("create", "--name", "base", "busybox")
    daemon.docker("commit", "base", "mine:1")
    daemon.docker("create", "--name", "box", "mine:1", "true")
    daemon.docker("rm", "base", "box")
    layers = set(os.listdir(daemon.data_root / "layers"))
    out = daemon.docker("rmi", "mine:1").out
    assert "Untagged: mine:1" in out and out.count("Deleted: sha256:") == 2
    assert daemon.docker("images", "-q", "mine").out == "" and daemon.http("GET", "/images/mine:1/json").status == 404
    assert set(os.listdir(daemon.data_root / "layers")) == layers
    daemon.cove("undo", "box")
    daemon.docker("start", "-a", "box")
    daemon.docker("rm", "box")
    daemon.cove("trash", "empty", "-f")
    eventually(lambda: set(os.listdir(daemon.data_root / "layers")) < layers)


def test_past_the_trash(daemon: Engine) -> None:
    daemon.docker("create", "--name", "kept", "busybox")
    daemon.docker("create", "--name", "box", "busybox")
    daemon.cove("rm", "--now", "box")
    daemon.docker("run", "--rm", "busybox", "true")
    daemon.docker("create", "--rm", "--name", "auto", "busybox")
    daemon.docker("rm", "auto")
    assert trash(daemon) == []
    daemon.docker("container", "prune", "-f")
    assert trash(daemon) == ["kept"]
    daemon.cove("undo")
    daemon.cove("container", "prune", "-f", "--now")
    assert trash(daemon) == []
    assert "nothing to bring back" in daemon.cove("undo", check=False).err


def test_list_remove_empty(daemon: Engine) -> None:
    for name in ("one", "two", "three"):
        daemon.docker("create", "--name", name, "-v", "/v", "busybox")
        daemon.docker("rm", "-v", name)
    titles, *rows = daemon.cove("trash", "ls").out.splitlines()
    assert titles.split("  ")[0] == "ID" and [row.split()[2] for row in rows] == ["three", "two", "one"]
    eventually(
        lambda: [json.loads(line)["Size"] for line in daemon.cove("trash", "ls", "--format", "json").out.splitlines()],
        lambda sizes: "-" not in sizes,
    )
    assert daemon.cove("trash", "rm", "two").out == "two\n"
    assert trash(daemon) == ["three", "one"]
    assert daemon.cove("trash", "rm", "two", check=False).code == 1
    question = daemon.cove("trash", "empty", input="n\n").out
    assert "WARNING" in question and trash(daemon) == ["three", "one"]
    assert "Total reclaimed space" in daemon.cove("trash", "empty", "--force").out
    assert trash(daemon) == []
    assert [*(daemon.data_root / "trash").iterdir()] == []


def test_logs_of_a_removed_container(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", "echo out; echo err >&2")
    daemon.docker("run", "-t", "--name", "tty", "busybox", "echo", "out")
    container = daemon.docker("inspect", "-f", "{{.Id}}", "box").out.strip()
    daemon.docker("rm", "box", "tty")
    assert daemon.docker("logs", "box", check=False).code == 1
    for name in ("box", container, container[:8]):
        done = daemon.cove("logs", "--removed", name)
        assert (done.out, done.err) == ("out\n", "err\n")
    assert daemon.cove("logs", "--removed", "-n", "1", "tty").out == "out\n"
    missing = daemon.cove("logs", "--removed", "nobody", check=False)
    assert missing.code == 1 and "No such container in the trash: nobody" in missing.err


def test_a_daemon_that_is_killed_amid_removals_and_returns(fresh_daemon: Daemon) -> None:
    ids = []
    for number in range(6):
        made = ("create", "--name", f"box{number}", "-v", "/v", "busybox", "true")
        ids.append(fresh_daemon.docker(*made).out.strip())
    with fresh_daemon.spawned("docker", "rm", "-v", *[f"box{number}" for number in range(4)]) as client:
        assert client.stdout is not None
        client.stdout.readline()
        fresh_daemon.kill9()
        client.wait(10)
    fresh_daemon.start()
    seen = set(fresh_daemon.docker("ps", "-a", "--format", "{{.Names}}").out.split())
    gone = set(trash(fresh_daemon))
    assert seen | gone == {f"box{number}" for number in range(6)} and not seen & gone and "box0" in gone
    with fresh_daemon.spawned("cove", "undo", "box0") as client:
        eventually(lambda: client.poll() is not None or not (fresh_daemon.data_root / "trash" / ids[0]).exists())
        fresh_daemon.kill9()
        client.wait(10)
    fresh_daemon.start()
    seen = set(fresh_daemon.docker("ps", "-a", "--format", "{{.Names}}").out.split())
    assert ("box0" in seen) != ("box0" in trash(fresh_daemon))
    for name in trash(fresh_daemon):
        fresh_daemon.cove("undo", name)
    for number in range(6):
        fresh_daemon.docker("start", "-a", f"box{number}")
    assert len(fresh_daemon.docker("volume", "ls", "-q").out.split()) == 6


def test_a_daemon_without_a_trash(fresh_daemon: Daemon) -> None:
    fresh_daemon.restart_with("--trash-minutes=0")
    fresh_daemon.docker("create", "--name", "box", "busybox")
    fresh_daemon.docker("rm", "box")
    assert trash(fresh_daemon) == []


def test_what_removes_itself_is_kept_when_the_daemon_is_told_to(fresh_daemon: Daemon) -> None:
    fresh_daemon.restart_with("--trash-auto-removed")
    fresh_daemon.docker("run", "--rm", "--name", "box", "busybox", "true")
    eventually(lambda: trash(fresh_daemon) == ["box"])
