"""``prune`` that tells beforehand, keeps some, and goes by the last use."""

import re

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
    assert re.search(r"^volume +data +data +500kB +", told, re.M)
    assert "busybox" not in told, "a container has it"
    assert told.endswith("Total reclaimable space: 2.5MB\n")
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


@pytest.mark.parametrize(
    "query", ["kind=nonesuch", "keepBytes=x", "keepBytes=-1", "unusedFor=soon", "filters=%7B%22x%22%3A%5B%22y%22%5D%7D"]
)
def test_bad_input(daemon: Engine, query: str) -> None:
    assert daemon.http("POST", f"/cove/prune?{query}").status == 400
