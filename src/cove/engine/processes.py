"""The processes of a container as ``docker top`` shows them, read from /proc without a ps(1)."""

import os
import pwd
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

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


def table(pids: Iterable[int], arguments: str) -> tuple[list[str], list[list[str]]]:
    """Titles and rows. ``arguments``: ps(1)'s, of which ``-ef``, ``-f``, ``aux`` and ``-o LIST`` are known.

    Raises InvalidArgument for others.
    """
    columns = _columns(arguments.split() or ["-ef"])
    processes = [process for pid in sorted(set(pids)) if (process := read(pid)) is not None]
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

_FULL = (("UID", _user), *(_SHOW[name] for name in ("pid", "ppid", "c", "stime", "tty", "time", "cmd")))
_AUX = tuple(_SHOW[name] for name in ("user", "pid", "%cpu", "vsz", "rss", "tty", "stat", "start", "time", "command"))


def _columns(arguments: list[str]) -> tuple[tuple[str, Callable[[Process], str]], ...]:
    if arguments[0] in ("-ef", "-f", "ef"):
        return _FULL
    if arguments[0] in ("aux", "-aux"):
        return _AUX
    words = " ".join(arguments)
    if not words.startswith(("-o", "-eo", "o ")):
        raise InvalidArgument(f"unknown ps arguments: {words!r}; use -ef, aux or -o COLUMN,…")
    names = words.partition("o")[2].replace(",", " ").split()
    unknown = [name for name in names if name.partition("=")[0] not in _SHOW]
    if unknown or not names:
        raise InvalidArgument(f"unknown ps column: {' '.join(unknown) or words!r}")
    return tuple(_titled(name) for name in names)


def _titled(name: str) -> tuple[str, Callable[[Process], str]]:
    column, equals, title = name.partition("=")
    known, show = _SHOW[column]
    return (title if equals else known), show
