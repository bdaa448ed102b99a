"""The processes of a container as ``docker top`` shows them, read from /proc without a ps(1)."""

import grp
import os
import pwd
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from cove.engine.containers import psarguments
from cove.errors import InvalidArgument

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process(NamedTuple):
    """One process of /proc. Times in seconds, sizes in KiB; ``started``: seconds since the epoch."""

    pid: int
    parent: int
    uid: int
    state: str
    terminal: str
    cpu_time: float
    started: float
    virtual: int
    resident: int
    command: str
    name: str
    group: int = 0
    session: int = 0
    priority: int = 0
    nice: int = 0
    threads: int = 1
    processor: int = 0


def table(pids: Iterable[int], arguments: str) -> tuple[list[str], list[list[str]]]:
    """Titles and rows. ``arguments``: those of ps(1) that choose columns or processes.

    Raises InvalidArgument for others.
    """
    asked = psarguments.parse(arguments)
    columns = [_titled(name) for name in asked.columns or _FORMATS[asked.format]]
    chosen = set(pids) if asked.pids is None else set(pids) & asked.pids
    processes = [process for pid in sorted(chosen) if (process := read(pid)) is not None]
    return [title for title, _ in columns], [[show(process) for _, show in columns] for process in processes]


def read(pid: int) -> Process | None:
    """One process; None when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            head, _, tail = file.read().rpartition(")")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        uid = os.stat(f"/proc/{pid}").st_uid
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = head.partition("(")[2]
    fields = tail.split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        uid=uid,
        state=fields[0],
        terminal=_terminal(int(fields[4])),
        cpu_time=(int(fields[11]) + int(fields[12])) / _TICKS,
        started=_boot_time() + int(fields[19]) / _TICKS,
        virtual=int(fields[20]) // 1024,
        resident=int(fields[21]) * _PAGE // 1024,
        command=words or f"[{name}]",
        name=name,
        group=int(fields[2]),
        session=int(fields[3]),
        priority=int(fields[15]),
        nice=int(fields[16]),
        threads=int(fields[17]),
        processor=int(fields[36]),
    )


def _terminal(device: int) -> str:
    major, minor = os.major(device), os.minor(device)
    if not device:
        return "?"
    return f"pts/{minor + 256 * (major - 136)}" if 136 <= major <= 143 else f"{major}:{minor}"


def _boot_time() -> int:
    """Seconds since the epoch, as the kernel has it: the same at every look."""
    with open("/proc/stat", encoding="ascii") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("btime ")), 0)


def _user(process: Process) -> str:
    try:
        return pwd.getpwuid(process.uid).pw_name
    except KeyError:
        return str(process.uid)


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _start(process: Process) -> str:
    recent = time.time() - process.started < 24 * 3600
    return time.strftime("%H:%M" if recent else "%b%d", time.localtime(process.started))


def _group(process: Process) -> str:
    """Of the user, by the host's names."""
    try:
        return grp.getgrgid(pwd.getpwuid(process.uid).pw_gid).gr_name
    except KeyError:
        return str(process.uid)


def _elapsed(process: Process) -> str:
    seconds = max(0, int(time.time() - process.started))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    days = f"{hours // 24}-" if hours >= 24 else ""
    return f"{days}{hours % 24:02d}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes:02d}:{seconds % 60:02d}"


def _memory_share(process: Process) -> str:
    whole = os.sysconf("SC_PHYS_PAGES") * _PAGE // 1024
    return f"{100 * process.resident / whole:.1f}"


def _share(process: Process) -> str:
    age = max(time.time() - process.started, 1)
    return str(int(100 * process.cpu_time / age))


_SHOW: dict[str, tuple[str, Callable[[Process], str]]] = {
    "user": ("USER", _user),
    "uid": ("UID", lambda process: str(process.uid)),
    "pid": ("PID", lambda process: str(process.pid)),
    "ppid": ("PPID", lambda process: str(process.parent)),
    "c": ("C", _share),
    "%cpu": ("%CPU", _share),
    "pcpu": ("%CPU", _share),
    "stime": ("STIME", _start),
    "start": ("START", _start),
    "tty": ("TTY", lambda process: process.terminal),
    "tt": ("TT", lambda process: process.terminal),
    "time": ("TIME", lambda process: _clock(process.cpu_time)),
    "stat": ("STAT", lambda process: process.state),
    "s": ("S", lambda process: process.state),
    "vsz": ("VSZ", lambda process: str(process.virtual)),
    "rss": ("RSS", lambda process: str(process.resident)),
    "comm": ("COMMAND", lambda process: process.name),
    "cmd": ("CMD", lambda process: process.command),
    "args": ("COMMAND", lambda process: process.command),
    "command": ("COMMAND", lambda process: process.command),
}

_SHOW |= {
    "f": ("F", lambda process: "4" if process.uid == 0 else "0"),
    "pri": ("PRI", lambda process: str(60 + process.priority)),
    "ni": ("NI", lambda process: str(process.nice)),
    "nice": ("NI", lambda process: str(process.nice)),
    "addr": ("ADDR", lambda process: "-"),
    "wchan": ("WCHAN", lambda process: "-"),
    "sz": ("SZ", lambda process: str(process.virtual * 1024 // _PAGE)),
    "vsize": ("VSZ", lambda process: str(process.virtual)),
    "rsz": ("RSZ", lambda process: str(process.resident)),
    "%mem": ("%MEM", _memory_share),
    "pmem": ("%MEM", _memory_share),
    "pgid": ("PGID", lambda process: str(process.group)),
    "pgrp": ("PGRP", lambda process: str(process.group)),
    "sid": ("SID", lambda process: str(process.session)),
    "sess": ("SESS", lambda process: str(process.session)),
    "nlwp": ("NLWP", lambda process: str(process.threads)),
    "thcount": ("THCNT", lambda process: str(process.threads)),
    "psr": ("PSR", lambda process: str(process.processor)),
    "etime": ("ELAPSED", _elapsed),
    "etimes": ("ELAPSED", lambda process: str(max(0, int(time.time() - process.started)))),
    "cputime": ("TIME", lambda process: _clock(process.cpu_time)),
    "tname": ("TTY", lambda process: process.terminal),
    "start_time": ("START", _start),
    "ucmd": ("CMD", lambda process: process.name),
    "ucomm": ("COMMAND", lambda process: process.name),
    "group": ("GROUP", _group),
    "euser": ("EUSER", _user),
    "ruser": ("RUSER", _user),
    "uname": ("USER", _user),
    "euid": ("EUID", lambda process: str(process.uid)),
    "state": ("S", lambda process: process.state),
}

_FORMATS = {
    "plain": "pid tty time ucmd".split(),
    "full": "user=UID pid ppid c stime tty time cmd".split(),
    "extra full": "user=UID pid ppid c sz rss psr stime tty time cmd".split(),
    "long": "f s uid pid ppid c pri ni addr sz wchan tty time ucmd".split(),
    "jobs": "pid pgid sid tty time ucmd".split(),
    "bsd": "pid tty stat time command".split(),
    "user": "user pid %cpu %mem vsz rss tty stat start time command".split(),
    "bsd long": "f uid pid ppid pri ni vsz rss wchan stat tty time command".split(),
    "bsd jobs": "ppid pid pgid sid tty stat uid time command".split(),
}
"""The columns of the formats that flags of ps(1) choose."""


def _titled(name: str) -> tuple[str, Callable[[Process], str]]:
    column, equals, title = name.partition("=")
    if column not in _SHOW:
        raise InvalidArgument(f"unknown ps column: {column}")
    known, show = _SHOW[column]
    return (title if equals else known), show
