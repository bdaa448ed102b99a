"""``cove stats``"""

from __future__ import annotations

import time

from cove.cli.command import Command, at_least
from cove.cli.failure import Failure, describe
from cove.cli.formatter import config_format, show
from cove.cli.humanize import memory, short_size
from cove.cli.options import LIST_FORMAT, encode_filters
from cove.cli.view import View
from cove.errors import CoveError
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Sample = dict[str, Any]

MISSING = "--"
REFRESH = 0.5
# How long the first table waits for numbers.
FIRST_WITHIN = 2.0
CURSOR_HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def stats_view(truncate: bool) -> View:
    return View(
        "*container.statsContext",
        ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"),
        {
            "Container": ("CONTAINER", lambda row: row["Container"]),
            "ID": ("CONTAINER ID", lambda row: row["ID"][:12] if truncate else row["ID"]),
            "Name": ("NAME", lambda row: row["Name"] or MISSING),
            "CPUPerc": ("CPU %", lambda row: _percent(row, "CPU")),
            "MemUsage": ("MEM USAGE / LIMIT", _memory_usage),
            "MemPerc": ("MEM %", lambda row: _percent(row, "MemoryPercent")),
            "NetIO": ("NET I/O", lambda row: _pair(row, "Received", "Sent")),
            "BlockIO": ("BLOCK I/O", lambda row: _pair(row, "Read", "Written")),
            "PIDs": ("PIDS", lambda row: str(row["PIDs"]) if row["Valid"] else MISSING),
        },
    )


def _percent(row: Sample, key: str) -> str:
    return f"{row[key]:.2f}%" if row["Valid"] else MISSING


def _memory_usage(row: Sample) -> str:
    return f"{memory(row['Memory'])} / {memory(row['Limit'])}" if row["Valid"] else f"{MISSING} / {MISSING}"


def _pair(row: Sample, first: str, second: str) -> str:
    return f"{short_size(row[first])} / {short_size(row[second])}" if row["Valid"] else MISSING


def empty_row(container: str) -> Sample:
    return {"Container": container, "ID": "", "Name": "", "Valid": False}


def measured(container: str, sample: Sample) -> Sample:
    """A row from one of the API's samples; rates are over the time between it and the sample before."""
    usage = sample.get("memory_stats") or {}
    used, limit = _used_memory(usage), usage.get("limit", 0)
    networks = (sample.get("networks") or {}).values()
    blocks = (sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    return {
        "Container": container,
        "ID": sample.get("id", ""),
        "Name": sample.get("name", "").removeprefix("/"),
        "Valid": True,
        "CPU": _cpu_percent(sample.get("cpu_stats") or {}, sample.get("precpu_stats") or {}),
        "Memory": used,
        "Limit": limit,
        "MemoryPercent": used / limit * 100 if limit else 0.0,
        "Received": sum(network["rx_bytes"] for network in networks),
        "Sent": sum(network["tx_bytes"] for network in networks),
        "Read": sum(block["value"] for block in blocks if block["op"][:1] in ("r", "R")),
        "Written": sum(block["value"] for block in blocks if block["op"][:1] in ("w", "W")),
        "PIDs": (sample.get("pids_stats") or {}).get("current", 0),
    }


def _used_memory(usage: Sample) -> int:
    """Without the page cache that can be dropped: its name differs between cgroup v1 and v2."""
    total, details = int(usage.get("usage", 0)), usage.get("stats") or {}
    for key in ("total_inactive_file", "inactive_file"):
        if 0 < details.get(key, 0) < total:
            return total - int(details[key])
    return total


def _cpu_percent(now: Sample, before: Sample) -> float:
    own = (now.get("cpu_usage") or {}).get("total_usage", 0) - (before.get("cpu_usage") or {}).get("total_usage", 0)
    system = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    processors = now.get("online_cpus") or len((now.get("cpu_usage") or {}).get("percpu_usage") or [])
    return own / system * processors * 100 if own > 0 and system > 0 else 0.0


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    form = config_format(session, "statsFormat", values.text("format"))
    view = stats_view(not values.on("no-trunc"))
    names = arguments or _listed(session, values.on("all"))
    if values.on("no-stream"):
        show(session, view, _once(session, names), form)
        return 0
    if arguments:
        for name in arguments:
            session.client.json("GET", f"/containers/{name}/json")
    return _watch(session, view, names, form, follow=not arguments, everything=values.on("all"))


def _listed(session: Session, everything: bool) -> list[str]:
    items = session.client.json("GET", "/containers/json", {"all": 1 if everything else None})
    return [item["Id"][:12] for item in items]


def _once(session: Session, names: list[str]) -> list[Sample]:
    """Each takes the daemon a while, so all are asked at once."""
    asked = [(name, session.client.begin("GET", f"/containers/{name}/stats", {"stream": 0})) for name in names]
    rows, problems = [], []
    for name, pending in asked:
        try:
            rows.append(measured(name, pending.json()))
        except CoveError as error:
            problems.append(describe(error))
    if problems:
        raise Failure("\n".join(problems))
    return rows


class _Watcher:
    """Reads one container's samples in a thread of its own; ``row`` is the newest."""

    def __init__(self, session: Session, name: str) -> None:
        import threading

        self.name = name
        self.row = empty_row(name)
        self.over = False
        self.begun = threading.Event()
        self._client = session.connect()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for sample in self._client.objects("GET", f"/containers/{self.name}/stats", {"stream": 1}):
                self.row = measured(self.name, sample)
                self.begun.set()
        except (CoveError, OSError):
            pass
        self.over = True
        self.begun.set()


class _Comings:
    """Notices in a thread of its own that a container has started or ended; ``happened`` is set then."""

    def __init__(self, session: Session) -> None:
        import threading

        self.happened = threading.Event()
        self._client = session.connect()
        self._filters = encode_filters([("type", "container"), ("event", "start"), ("event", "die")])
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for _ in self._client.objects("GET", "/events", {"filters": self._filters}):
                self.happened.set()
        except (CoveError, OSError):
            return


def _await_numbers(watchers: list[_Watcher]) -> None:
    deadline = time.monotonic() + FIRST_WITHIN
    for watcher in watchers:
        watcher.begun.wait(max(0.0, deadline - time.monotonic()))


def _watch(session: Session, view: View, names: list[str], form: str, *, follow: bool, everything: bool) -> int:
    """Draw the newest samples until interrupted; ``follow`` takes up containers that start meanwhile."""
    comings = _Comings(session) if follow else None
    watchers = {name: _Watcher(session, name) for name in names}
    _await_numbers(list(watchers.values()))
    while True:
        pieces: list[str] = []
        rows = [watcher.row for watcher in watchers.values() if not (follow and watcher.over and not everything)]
        show(session, view, rows, form, out=pieces.append)
        lines = "".join(pieces).splitlines()
        text = "".join(f"{line}{CLEAR_LINE}\n" for line in lines)
        session.stdout.write(f"{CURSOR_HOME}{text}{CLEAR_BELOW}")
        session.stdout.flush()
        if not follow and all(watcher.over for watcher in watchers.values()):
            return 0
        time.sleep(REFRESH)
        if comings is not None and comings.happened.is_set():
            comings.happened.clear()
            for name in _listed(session, everything):
                if name not in watchers or (watchers[name].over and not everything):
                    watchers[name] = _Watcher(session, name)


COMMAND = Command(
    _run,
    "[OPTIONS] [CONTAINER...]",
    at_least(0),
    (
        Flag("all", BOOL, "Show all containers (default shows just running)", "a"),
        LIST_FORMAT,
        Flag("no-stream", BOOL, "Disable streaming stats and only pull the first result"),
        Flag("no-trunc", BOOL, "Do not truncate output"),
    ),
)
