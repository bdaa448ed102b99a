"""Control groups, versions 1 and 2: where they are mounted, and the directories of one container.

A hybrid machine keeps its controllers in version 1 hierarchies beside a version 2 hierarchy with few or none, which is
left alone: to move a process there takes a grace period of the kernel (9 ms measured); version 1 has a way round.
"""

import errno
import os
import select
import time

from cove.lean import NamedTuple, signal, suppress

MOUNT_INFO = "/proc/self/mountinfo"
_PERIOD = 0.005  # seconds between looks at a version 1 group, which announces nothing
_FREEZE_TIMEOUT = 10.0
_REMOVE_TIMEOUT = 2.0
_NO_CONTROLLERS = frozenset({"rw", "ro", "none", "noprefix", "xattr", "clone_children", "cpuset_v2_mode"})


class Hierarchy(NamedTuple):
    """A mounted hierarchy. ``controllers``: of version 1, as the kernel spells them; ``name``: of one without."""

    mount_point: str
    version: int
    controllers: tuple[str, ...]
    name: str


class Layout(NamedTuple):
    """The hierarchies of a machine: of version 1, or (``unified``) the single one of version 2."""

    hierarchies: tuple[Hierarchy, ...]
    unified: bool

    def mount_point(self, controller: str) -> str | None:
        """Where a controller's hierarchy is mounted; None when it is not. In a unified layout it is the only one."""
        for hierarchy in self.hierarchies:
            if self.unified or controller in hierarchy.controllers:
                return hierarchy.mount_point
        return None


_layout: Layout | None = None


def layout() -> Layout:
    """The layout of this machine, read once: the zygote calls this, so that no start has to."""
    global _layout
    if _layout is None:
        with open(MOUNT_INFO, encoding="utf-8", errors="surrogateescape") as file:
            _layout = parse_layout(file.read())
    return _layout


def parse_layout(mount_info: str) -> Layout:
    """The layout that the text of /proc/<pid>/mountinfo shows (proc_pid_mountinfo(5))."""
    found: dict[str, Hierarchy] = {}
    for line in mount_info.splitlines():
        own, _, super_block = line.partition(" - ")
        fields, kind = own.split(), super_block.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        hierarchy = _hierarchy(_unescape(fields[4]), kind[0], kind[2].split(","))
        found.setdefault(f"{kind[0]}:{hierarchy.name}:{','.join(hierarchy.controllers)}", hierarchy)
    version1 = tuple(hierarchy for hierarchy in found.values() if hierarchy.version == 1)
    if any(hierarchy.controllers for hierarchy in version1):
        return Layout(version1, unified=False)
    version2 = tuple(hierarchy for hierarchy in found.values() if hierarchy.version == 2)
    return Layout(version2[:1], unified=True)


def version2_mounts() -> list[str]:
    """Where version 2 is mounted in this mount namespace, whatever it controls; the last mounted first."""
    with open(MOUNT_INFO, encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.partition(" - ") for line in file]
    return [_unescape(own.split()[4]) for own, _, kind in reversed(lines) if kind.startswith("cgroup2 ")]


def _hierarchy(mount_point: str, kind: str, options: list[str]) -> Hierarchy:
    if kind == "cgroup2":
        return Hierarchy(mount_point, 2, (), "")
    name = next((option[5:] for option in options if option.startswith("name=")), "")
    controllers = tuple(option for option in options if "=" not in option and option not in _NO_CONTROLLERS)
    return Hierarchy(mount_point, 1, controllers, name)


def _unescape(field: str) -> str:
    return field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


class Cgroup:
    """The directories of one container, one in each hierarchy.

    ``path``: ``/<parent>/<id>`` from the root of the hierarchies. Nothing outside of it is changed, but that missing
    parents are made, and (version 2) that they hand their controllers down.
    """

    unit = ""
    """The unit of systemd that it belongs to; "" when it is ours alone."""

    def __init__(self, layout: Layout, path: str) -> None:
        """Raises ValueError when the path is relative, the root, or has empty or dotted parts."""
        parts = path.split("/")
        if len(parts) < 2 or parts[0] or not all(parts[1:]) or not {".", ".."}.isdisjoint(parts):
            raise ValueError(f"cgroupsPath {path!r} is not an absolute path of a control group")
        self.layout = layout
        self.path = path

    @property
    def directories(self) -> list[str]:
        return [hierarchy.mount_point + self.path for hierarchy in self.layout.hierarchies]

    def directory(self, controller: str) -> str | None:
        """Of the hierarchy with this controller."""
        mount_point = self.layout.mount_point(controller)
        return None if mount_point is None else mount_point + self.path

    def create(self) -> None:
        """Make the directories of version 1; ``cgroup_tree.create`` does it for version 2. Raises OSError."""
        for hierarchy in self.layout.hierarchies:
            make_directory(hierarchy, self.path)

    def write(self, controller: str, file: str, value: str) -> None:
        """Write a file of a controller. Raises OSError with its path; ENOENT when the controller is not there."""
        directory = self.directory(controller)
        if directory is None:
            raise OSError(errno.ENOENT, f"the {controller} control group controller is not mounted", file)
        write_file(f"{directory}/{file}", value)

    def read(self, controller: str, file: str) -> str | None:
        """The content of a file of a controller, without white space around it; None when there is none."""
        directory = self.directory(controller)
        return None if directory is None else read_file(f"{directory}/{file}")

    def join(self) -> None:
        """Move the calling process in, which has one thread.

        Version 1 moves a single thread by "tasks" without waiting for all forks and exits of the machine to pause.
        """
        for directory in self.directories:
            write_file(f"{directory}/cgroup.procs" if self.layout.unified else f"{directory}/tasks", "0")

    def pids(self) -> list[int]:
        """The processes in it and below it, as this process sees them."""
        found: list[int] = []
        for directory in _walk(self._first):
            found += [int(word) for word in (read_file(f"{directory}/cgroup.procs") or "").split()]
        return found

    def oom_kills(self) -> int:
        """How many of its processes were killed for want of memory; 0 when nobody counts."""
        file = "memory.events" if self.layout.unified else "memory.oom_control"
        return self.counters("memory", file).get("oom_kill", 0)

    def memory_peak(self) -> int:
        """The most bytes that it had at once; 0 when nobody counts (version 2 before Linux 5.19)."""
        file = "memory.peak" if self.layout.unified else "memory.max_usage_in_bytes"
        text = self.read("memory", file) or ""
        return int(text) if text.isdecimal() else 0

    def counters(self, controller: str, file: str) -> dict[str, int]:
        """A file of lines ``name number``, such as memory.stat, cpu.stat or memory.events; {} when there is none."""
        words = [line.split() for line in (self.read(controller, file) or "").splitlines()]
        return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].lstrip("-").isdigit()}

    def kill(self) -> None:
        """Kill every process in it and below it, none of which can fork its way out; a group that is gone has none."""
        if self.layout.unified:
            try:
                write_file(f"{self._first}/cgroup.kill", "1")
                return
            except FileNotFoundError:  # Linux before 5.14
                pass
        with suppress(FileNotFoundError):
            self._kill_frozen()

    def _kill_frozen(self) -> None:
        self.freeze()
        try:
            for pid in self.pids():
                _kill(pid)
        finally:
            self.thaw()

    def freeze(self) -> None:
        """Stop every process; returns when all have stopped. Raises TimeoutError, with everything thawed again."""
        try:
            self._set_frozen(True)
        except TimeoutError:
            self.thaw()
            raise

    def thaw(self) -> None:
        """Let the stopped processes go on."""
        self._set_frozen(False)

    @property
    def frozen(self) -> bool:
        """Whether ``freeze`` has stopped it."""
        if self.layout.unified:
            return read_file(f"{self._first}/cgroup.freeze") == "1"
        return self.read("freezer", "freezer.state") in ("FROZEN", "FREEZING")

    def _set_frozen(self, frozen: bool) -> None:
        if self.layout.unified:
            write_file(f"{self._first}/cgroup.freeze", "1" if frozen else "0")
            _await_event(self._first, f"frozen {int(frozen)}", _FREEZE_TIMEOUT)
        else:
            self._set_freezer("FROZEN" if frozen else "THAWED")

    def _set_freezer(self, state: str) -> None:
        """Version 1 may need to be asked again: a process that was forking is not stopped the first time."""
        deadline = time.monotonic() + _FREEZE_TIMEOUT
        while True:
            self.write("freezer", "freezer.state", state)
            if self.read("freezer", "freezer.state") == state:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "the processes cannot be stopped", self.path)
            time.sleep(_PERIOD)

    def remove(self) -> None:
        """Remove the directories, and those below them; what is gone already is no error.

        Waits for processes that are ending. Raises OSError (EBUSY) when some stay.
        """
        deadline = time.monotonic() + _REMOVE_TIMEOUT
        for directory in self.directories:
            while not _remove_tree(directory):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise OSError(errno.EBUSY, "rmdir: processes are left in the control group", directory)
                if self.layout.unified:
                    _await_event(directory, "populated 0", left)
                time.sleep(min(left, _PERIOD))

    @property
    def _first(self) -> str:
        return self.layout.hierarchies[0].mount_point + self.path


def write_file(path: str, value: str) -> None:
    """Write a file of the kernel in one write. Raises OSError with its path."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    except OSError as error:
        raise OSError(error.errno, f"write {value!r}: {error.strerror}", path) from None
    finally:
        os.close(descriptor)


def write_lines(path: str, values: list[str]) -> None:
    """Write a file that takes one value per write, such as devices.allow. Raises OSError with its path."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for value in values:
            os.write(descriptor, value.encode())
    except OSError as error:
        raise OSError(error.errno, f"write {value!r}: {error.strerror}", path) from None
    finally:
        os.close(descriptor)


def read_file(path: str) -> str | None:
    """The content of a file of the kernel, without white space around it; None when there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        data = bytearray()
        while chunk := os.read(descriptor, 1 << 16):
            data += chunk
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.EOPNOTSUPP):  # removed meanwhile; a file that this group does not have
            return None
        raise
    finally:
        os.close(descriptor)
    return data.decode(errors="replace").strip()


def make_directory(hierarchy: Hierarchy, path: str) -> None:
    """A group's directory, and those above it that are missing; of version 1 with CPUs and memory nodes."""
    directory = hierarchy.mount_point + path
    parent = path.rpartition("/")[0]
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        pass
    except FileNotFoundError:
        make_directory(hierarchy, parent)
        os.mkdir(directory, 0o755)
    if "cpuset" in hierarchy.controllers:
        _inherit_cpuset(hierarchy.mount_point + parent, directory)


def _inherit_cpuset(parent: str, directory: str) -> None:
    """A new version 1 cpuset is empty and takes no process."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        if not read_file(f"{directory}/{file}"):
            write_file(f"{directory}/{file}", read_file(f"{parent}/{file}") or "0")


def _await_event(directory: str, line: str, timeout: float) -> None:
    """Wait until cgroup.events has a line; the kernel announces every change of it (cgroup-v2.rst)."""
    try:
        descriptor = os.open(f"{directory}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    deadline = time.monotonic() + timeout
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLPRI)
        while line not in os.pread(descriptor, 4096, 0).decode().splitlines():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(errno.ETIMEDOUT, f"the control group does not become {line!r}", directory)
            poll.poll(left * 1000)
    finally:
        os.close(descriptor)


def _walk(directory: str) -> list[str]:
    """A group and all below it, parents first."""
    found = [directory]
    try:
        with os.scandir(directory) as entries:
            children = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    for name in children:
        found += _walk(f"{directory}/{name}")
    return found


def _remove_tree(directory: str) -> bool:
    """Remove a group and those below it; False when one has processes."""
    try:
        os.rmdir(directory)
        return True
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
            raise
    below = _walk(directory)[1:]
    return bool(below) and all(_remove_tree(child) for child in reversed(below)) and _remove_tree(directory)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
