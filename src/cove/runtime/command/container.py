"""What is kept of a container between two calls: a directory below ``--root`` with its record and its gate.

``state.json`` is the record, ``config.json`` the configuration that it was created with, ``go.fifo`` and
``result.fifo`` the gate at which init waits; ``go.fifo`` is there as long as the program has not been started.
"""

import os
import time

from cove.kernel.cgroups import Cgroup
from cove.lean import Any, json, signal, suppress
from cove.oci.runtime import Spec
from cove.runtime import cgroup
from cove.runtime.command.arguments import Refused
from cove.runtime.manner import Gate

GO, RESULT = "go.fifo", "result.fifo"
_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")
_MAX_ID = 1024
_ENDING = 10.0  # seconds for a killed process to go


class Failed(Exception):
    """The call cannot be carried out; the message is for the user. ``code``: the exit code of the command."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Container:
    """One container: ``id``, its record, and its directory."""

    def __init__(self, root: str, container_id: str, record: dict[str, Any]) -> None:
        self.id = container_id
        self.directory = f"{root}/{container_id}"
        self.notify_directory = f"{self.directory}/notify"
        self.record = record
        self._spec: Spec | None = None

    @property
    def pid(self) -> int:
        return int(self.record["pid"])

    @property
    def spec(self) -> Spec:
        """The configuration that it was created with."""
        if self._spec is None:
            with open(f"{self.directory}/config.json", "rb") as file:
                self._spec = json.loads(file.read())
        assert self._spec is not None
        return self._spec

    @property
    def cgroup(self) -> Cgroup:
        return cgroup.load(self.record["cgroup"])

    def status(self) -> str:
        """``creating``, ``created``, ``running``, ``paused`` or ``stopped``."""
        if not self.record["pid"]:
            return "creating"
        if not self.alive:
            return "stopped"
        if os.path.exists(f"{self.directory}/{GO}"):
            return "created"
        return "paused" if self.cgroup.frozen else "running"

    @property
    def alive(self) -> bool:
        """Whether init is there, and is the process that it was."""
        return bool(self.pid) and start_time(self.pid) == self.record["start"]

    def state(self) -> dict[str, Any]:
        """The state as ``state`` prints it."""
        status = self.status()
        shown = {
            "ociVersion": self.record["ociVersion"],
            "id": self.id,
            "pid": 0 if status == "stopped" else self.pid,
            "status": status,
            "bundle": self.record["bundle"],
            "rootfs": self.record["rootfs"],
            "created": self.record["created"],
        }
        if self.record.get("annotations"):
            shown["annotations"] = self.record["annotations"]
        return {**shown, "owner": self.record["owner"]}

    def save(self) -> None:
        """Write the record: whole or not at all."""
        path = f"{self.directory}/state.json"
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(json.dumps(self.record))
        os.rename(f"{path}.new", path)

    def make_gate(self) -> Gate:
        """The fifos, and descriptors of both for init. Opened for both directions: none is at its end."""
        descriptors = []
        for name in (GO, RESULT):
            os.mkfifo(f"{self.directory}/{name}", 0o600)
            descriptors.append(os.open(f"{self.directory}/{name}", os.O_RDWR | os.O_CLOEXEC))
        return Gate(*descriptors)

    def signal(self, number: int) -> None:
        """Signal init. Raises Failed when it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            raise Failed("container not running") from None
        try:
            if not self.alive:
                raise Failed("container not running")
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            raise Failed("container not running") from None
        finally:
            os.close(descriptor)

    def kill_all(self) -> None:
        """Kill every process and wait for init to be gone."""
        self.cgroup.kill()
        if self.alive:
            with suppress(Failed):  # it has ended meanwhile
                self.signal(signal.SIGKILL)
        deadline = time.monotonic() + _ENDING
        while self.alive:
            if time.monotonic() > deadline:
                raise Failed("container init still running")
            time.sleep(0.002)

    def forget(self) -> None:
        """Remove what is kept, the control groups first. Raises OSError when they have processes."""
        self.cgroup.remove()
        self.remove_directory()

    def remove_directory(self) -> None:
        """Remove all that is kept of it: files only."""
        if os.path.isdir(self.notify_directory):
            from cove.runtime.command import notify

            notify.remove(self.notify_directory)
        with suppress(FileNotFoundError):
            for name in os.listdir(self.directory):
                with suppress(FileNotFoundError):
                    os.unlink(f"{self.directory}/{name}")
            os.rmdir(self.directory)


def start_time(pid: int) -> str:
    """When a process was started, in ticks of the kernel; "" when it is gone or has only not been waited for."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()


def check_id(container_id: str) -> None:
    if not container_id or container_id in (".", "..") or len(container_id) > _MAX_ID:
        raise Refused(f"invalid container ID format: {container_id}")
    if not _ID_CHARACTERS.issuperset(container_id):
        raise Refused(f"invalid container ID format: {container_id}")


def load(root: str, container_id: str) -> Container:
    """Raises Failed when there is none."""
    check_id(container_id)
    try:
        with open(f"{root}/{container_id}/state.json", "rb") as file:
            return Container(root, container_id, json.loads(file.read()))
    except (FileNotFoundError, NotADirectoryError):
        raise Failed("container does not exist") from None


def every(root: str) -> list[Container]:
    """All containers below a root, by name."""
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        try:
            found.append(load(root, name))
        except (Failed, Refused, ValueError):
            continue
    return found
