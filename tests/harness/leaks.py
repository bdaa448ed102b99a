"""The leak check: after a test, everything an engine can leave behind is what it was before.

An inventory is a list of named things by kind. What the kernel frees in its own time (a network namespace and the veth
in it, an empty cgroup) is waited for, for a bounded time.
"""

import contextlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from harness.engine import SLOWNESS, Engine
from harness.netns import NetworkNamespace

if TYPE_CHECKING:
    from harness.daemon import Daemon

SETTLE_SECONDS = 5.0 * SLOWNESS
POLL_SECONDS = 0.01
DESCRIPTOR_SLACK = 6
"""Descriptors by which the daemon may grow: connections of a client pool and the like."""

PASSING = ("-m cove.layers.worker.process", "cove.resolver.service")
"""Processes that come when there is work for them, and go when there was none for a while."""

RESOLVER_SOCKET = "exec/resolver.sock"

UNSETTLED = ("interface veth", "file containers/", "cgroup ")
"""What a container that was just removed leaves for a moment; a daemon without containers has none of it."""

OWN_LINK = re.compile(r"cove0|br-[0-9a-f]{12}|veth[0-9a-f]{8}|dm-[0-9a-f]{12}")
"""What an engine calls its links. Others in the machine's own network namespace, and namespaces that have names, are
somebody else's, who may make and remove them meanwhile; a namespace that an engine keeps is a mount below its roots."""

CGROUP_ROOT = Path("/sys/fs/cgroup")
Inventory = Counter[str]


class Process(NamedTuple):
    """A process of the daemon's: in its network namespace or below its cgroup parent."""

    pid: int
    what: str

    def send(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signum)


class LeakCheck:
    """What the daemon had when this was made; ``check`` compares."""

    def __init__(self, daemon: "Daemon") -> None:
        self._daemon = daemon
        self._start_anew()

    def _start_anew(self) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        self._before = inventory(self._daemon)
        while any(thing.startswith(UNSETTLED) for thing in self._before) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)  # of a container that was just removed
            self._before = inventory(self._daemon)
        self._descriptors = descriptors(self._daemon)

    def check(self) -> None:
        """Raises AssertionError that names what is there and was not, and what is gone. Later checks start anew."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while (difference := self._difference()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if difference:
            self._start_anew()  # one leak is one failure, not one of every later test
        assert not difference, "left behind:\n  " + "\n  ".join(difference)

    def _difference(self) -> list[str]:
        after = inventory(self._daemon)
        more = [f"+ {thing} (x{count})" for thing, count in sorted((after - self._before).items())]
        grown = descriptors(self._daemon) - self._descriptors
        if grown.total() - (self._descriptors - descriptors(self._daemon)).total() > DESCRIPTOR_SLACK:
            more += [f"+ descriptor {kind} (x{count})" for kind, count in sorted(grown.items())]
        gone = self._before - after
        less = [f"- {thing} (x{count})" for thing, count in sorted(gone.items()) if not thing.startswith(UNSETTLED)]
        return more + less


def inventory(daemon: "Daemon") -> Inventory:
    """Everything of the daemon's that a container, an image or a network can leave behind."""
    return Counter(
        [
            *(f"mount {line}" for line in _mounts(daemon)),
            *(f"interface {name}" for name in _interfaces(f"/proc/{daemon.pid}/net/dev")),
            *(
                f"interface {name} of the machine"
                for name in _interfaces("/proc/self/net/dev")
                if OWN_LINK.fullmatch(name)
            ),
            *(f"nftables {rule}" for rule in _firewall(daemon)),
            *(f"cgroup {path}" for path in _cgroups(daemon.cgroup_parent)),
            *(
                f"process {process.what}"
                for process in processes(daemon)
                if not any(word in process.what for word in PASSING)
            ),
            *(f"file {path}" for path in _files(daemon) if path != RESOLVER_SOCKET),
        ]
    )


def descriptors(daemon: "Daemon") -> Counter[str]:
    """The daemon's open files by kind, without what tells two of a kind apart."""
    kinds = []
    directory = f"/proc/{daemon.pid}/fd"
    for number in os.listdir(directory):
        with contextlib.suppress(OSError):
            target = os.readlink(f"{directory}/{number}")
            kinds.append(target.split(":")[0] if ":[" in target else target)
    return Counter(kinds)


def processes(daemon: "Daemon") -> list[Process]:
    """Every process in the daemon's network namespace or below its cgroup parent."""
    found = []
    for pid in {*in_namespace(daemon.netns), *_below(daemon.cgroup_parent)}:
        with contextlib.suppress(OSError):
            found.append(Process(pid, _command_line(pid)))
    return found


def _below(cgroup_parent: str) -> list[int]:
    return [
        int(pid)
        for directory in _cgroup_directories(cgroup_parent)
        for pid in (directory / "cgroup.procs").read_text().split()
    ]


def in_namespace(netns: NetworkNamespace) -> list[int]:
    """The processes in a network namespace: an engine's own ones, when containers have theirs."""
    inode = netns.inode
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{entry}/ns/net").st_ino == inode:
                    found.append(int(entry))
    return found


def remove_everything(daemon: Engine, keep_images: bool) -> None:
    """Remove, through the API, what a test left: containers, then networks, volumes and images."""
    for container in _listed(daemon, "/containers/json?all=1"):
        _delete(daemon, f"/containers/{container['Id']}?force=1&v=1")
    for network in _listed(daemon, "/networks"):
        if network["Name"] not in {"bridge", "host", "none"}:
            _delete(daemon, f"/networks/{network['Id']}")
    for volume in _listed(daemon, "/volumes", "Volumes"):
        _delete(daemon, f"/volumes/{quote(volume['Name'], safe='')}?force=1")
    _empty_trash(daemon)  # which may need images
    for image in _listed(daemon, "/images/json"):
        if not (keep_images and "busybox:latest" in (image.get("RepoTags") or [])):
            _delete(daemon, f"/images/{image['Id']}?force=1")
        else:
            for name in image["RepoTags"]:
                if name != "busybox:latest":
                    _delete(daemon, f"/images/{quote(name, safe='/:')}")
    daemon.http("POST", "/build/prune?all=1")


def remove_cgroups(parent: str) -> None:
    """Remove the (empty) cgroups of a daemon that is gone."""
    for path in sorted(_cgroup_directories(parent), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir()
    for hierarchy in _hierarchies():
        with contextlib.suppress(OSError):
            (hierarchy / parent.lstrip("/")).rmdir()


def _listed(daemon: Engine, target: str, key: str | None = None) -> list[dict[str, Any]]:
    answer = daemon.http("GET", target)
    if answer.status in {404, 501}:
        return []
    assert answer.status == 200, f"{target}: {answer.body!r}"
    listed: list[dict[str, Any]] = (answer.json()[key] if key else answer.json()) or []
    return listed


def _empty_trash(daemon: Engine) -> None:
    answer = daemon.http("POST", "/trash/prune")
    assert answer.status in {200, 404}, f"/trash/prune: {answer.body!r}"  # 404: Docker has no trash


def _delete(daemon: Engine, target: str) -> None:
    answer = daemon.http("DELETE", target)
    # 404 and 409: a container with --rm that is going by itself
    assert answer.status in {200, 204, 404, 409}, f"{target}: {answer.body!r}"


def _command_line(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return words[:160] or Path(f"/proc/{pid}/comm").read_text().strip()


def _mounts(daemon: "Daemon") -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if str(daemon.base) in line:
            yield " ".join(line.split()[3:])


def _interfaces(path: str) -> list[str]:
    return [line.split(":")[0].strip() for line in Path(path).read_text().splitlines() if ":" in line]


def _firewall(daemon: "Daemon") -> Iterator[str]:
    listed = json.loads(daemon.netns.run(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]
    for item in listed:
        for kind, body in item.items():
            if kind == "metainfo":
                continue
            elements = body.pop("elem", [])
            where = f"{body.get('family')} {body.get('table', '')} {body.get('name', body.get('chain', ''))}"
            yield f"{kind} {where}: {json.dumps(_without_counts(body), sort_keys=True)}"
            yield from (f"element of {where}: {json.dumps(_without_counts(each), sort_keys=True)}" for each in elements)


def _without_counts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_counts(each) for key, each in value.items() if key not in {"handle", "packets", "bytes"}}
    return [_without_counts(each) for each in value] if isinstance(value, list) else value


def _hierarchies() -> list[Path]:
    return [CGROUP_ROOT, *(path for path in CGROUP_ROOT.iterdir() if path.is_dir())]


def _cgroup_directories(parent: str) -> list[Path]:
    return [
        path for hierarchy in _hierarchies() for path in (hierarchy / parent.lstrip("/")).rglob("*") if path.is_dir()
    ]


def _cgroups(parent: str) -> list[str]:
    return [str(path.relative_to(CGROUP_ROOT)) for path in _cgroup_directories(parent)]


def _files(daemon: "Daemon") -> Iterator[str]:
    """Names at the places where each object has one; not the content of the base image's layer."""
    for place in ("tmp", "trash", "containers", "volumes", "layers", "blobs/sha256", "blobs/sha512"):
        directory = daemon.data_root / place
        yield from (f"{place}/{name}" for name in (os.listdir(directory) if directory.exists() else []))
    for parent, _directories, names in os.walk(daemon.exec_root):
        yield from (str(Path(parent, name).relative_to(daemon.base)) for name in names)
    yield from (f"exec/containers/{name}" for name in os.listdir(daemon.exec_root / "containers"))
