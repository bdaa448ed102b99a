"""``prune`` that tells beforehand, keeps some, and goes by the last use."""

import re
import time
from pathlib import Path

import pytest

from harness.engine import Engine

pytestmark = pytest.mark.needs("cove")


def _volume(engine: Engine, name: str, kilobytes: int) -> None:
    engine.docker("run", "--rm", "-v", f"{name}:/d", "busybox", "sh", "-c", f"head -c {kilobytes}000 /dev/zero > /d/f")


def _volumes(engine: Engine) -> list[str]:
    return sorted(engine.docker("volume", "ls", "-q").out.split())


def test_a_dry_run_tells_and_removes_nothing(daemon: Engine) -> None:
    _volume(daemon, "data", 500)
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", "head -c 2000000 /dev/zero > /f")
    daemon.docker("tag", "busybox", "other")
    told = daemon.cove("system", "prune", "-a", "--volumes", "--dry-run").out
    assert re.search(r"^container +\S+ +box +2MB +", told, re.M)
    assert "data" not in told, "volumes with names stay"
    assert "busybox" not in told, "a container has it"
    assert told.endswith("Total reclaimable space: 2MB\n")
    told = daemon.cove("volume", "prune", "-a", "--dry-run").out
    assert re.search(r"^volume +data +data +500kB +", told, re.M)
    assert told.endswith("Total reclaimable space: 500kB\n")
    assert daemon.docker("ps", "-aq").out and _volumes(daemon) == ["data"]
    assert "no" not in daemon.cove("container", "prune", "--dry-run").err


def test_the_longest_unused_go_until_so_much_is_left(daemon: Engine) -> None:
    for name in ("one", "two", "three"):
        _volume(daemon, name, 400)
    daemon.docker("run", "--rm", "-v", "one:/d", "busybox", "true")  # used again
    told = daemon.cove("volume", "prune", "-a", "-f", "--keep-bytes", "900k").out
    assert re.findall(r"^volume +(\w+)", told, re.M) == ["two"]
    assert _volumes(daemon) == ["one", "three"]
    assert daemon.cove("volume", "prune", "-a", "-f", "--unused-for", "1h").out.endswith("space: 0B\n")
    assert _volumes(daemon) == ["one", "three"]
    daemon.cove("volume", "prune", "-a", "-f", "--unused-for", "1ms")
    assert _volumes(daemon) == []
    assert daemon.cove("undo", "one").out == "one\n"


def test_filters_hold(daemon: Engine) -> None:
    for label in ("keep", "go"):
        daemon.docker("create", "--name", f"box-{label}", "-l", label, "busybox")
    told = daemon.cove("container", "prune", "-f", "--filter", "label=go", "--keep-bytes", "0").out
    assert "box-go" in told and "box-keep" not in told
    assert daemon.docker("ps", "-a", "--format", "{{.Names}}").out == "box-keep\n"


@pytest.mark.parametrize("client", ["docker", "cove"])
def test_containers_by_time_and_label(daemon: Engine, client: str) -> None:
    prune = daemon.docker if client == "docker" else daemon.cove
    labels = {"old": "a=1", "kept": "keep", "bare": "b", "young": "a=1"}
    made = {}
    for name, label in labels.items():
        if name == "young":
            between = f"{time.time():.9f}"
        made[name] = daemon.docker("create", "--name", name, "--label", label, "busybox", "true").out.strip()
    daemon.docker("run", "-d", "--name", "runs", "busybox", "sleep", "600")

    def gone(*filters: str) -> set[str]:
        words = [word for each in filters for word in ("--filter", each)]
        out = prune("container", "prune", "-f", *words).out
        return {name for name, identity in made.items() if identity in out}

    assert gone("until=1h") == set()
    assert gone(f"until={between}", "label!=keep", "label!=b") == {"old"}
    assert gone("label=a=2") == set()
    assert gone("label=a") == {"young"}
    assert gone("label!=keep") == {"bare"}
    assert daemon.docker("ps", "-a", "--format", "{{.Names}}").out.split() == ["runs", "kept"]


def test_networks_go_by_their_last_use(daemon: Engine) -> None:
    for name in ("idle", "left", "busy"):
        daemon.docker("network", "create", name)
    daemon.docker("run", "-d", "--name", "box", "--net", "busy", "busybox", "sleep", "600")
    daemon.docker("network", "connect", "left", "box")
    daemon.docker("network", "disconnect", "left", "box")
    told = daemon.cove("network", "prune", "--dry-run").out
    assert re.findall(r"^network +\S+ +(\w+)", told, re.M) == ["idle", "left"], "the longest unused first"
    assert "busy" not in told
    assert "network" not in daemon.cove("network", "prune", "-f", "--unused-for", "1h").out
    told = daemon.cove("system", "prune", "-f", "--keep-bytes", "1t").out
    assert re.findall(r"^network +\S+ +(\w+)", told, re.M) == ["idle", "left"], "they take no room to be kept"
    assert daemon.docker("network", "ls", "-q", "--filter", "type=custom").out.count("\n") == 1


def test_the_build_cache_goes_by_its_last_use(daemon: Engine, tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / "Dockerfile").write_text(f"FROM busybox\nRUN head -c 3000000 /dev/zero > /{name}\n")
        daemon.docker("build", "-q", "-t", name, str(tmp_path))
    daemon.docker("rmi", "old", "new")
    told = daemon.cove("builder", "prune", "--dry-run").out
    assert [line.split()[-1] for line in re.findall(r"(?<=/dev/zero > )/\w+", told)] == ["/old", "/new"], told
    assert re.search(r"^build-cache +\w{12} .* 3MB +", told, re.M)
    told = daemon.cove("builder", "prune", "-f", "--unused-for", "0s", "--keep-storage", "3500k").out
    assert "/old" in told and "/new" not in told
    assert "/new" not in daemon.cove("system", "prune", "-f", "--filter", "label=x", "--dry-run").out
    daemon.docker("system", "prune", "-f", "--filter", "label=x")
    told = daemon.cove("system", "prune", "-f", "--unused-for", "0s").out
    assert "/new" in told and "/dev/zero" not in daemon.cove("builder", "prune", "--dry-run").out


@pytest.mark.parametrize(
    "query", ["kind=nonesuch", "keepBytes=x", "keepBytes=-1", "unusedFor=soon", "filters=%7B%22x%22%3A%5B%22y%22%5D%7D"]
)
def test_bad_input(daemon: Engine, query: str) -> None:
    assert daemon.http("POST", f"/cove/prune?{query}").status == 400
