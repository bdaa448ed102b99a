"""Hooks: programs that the configuration has run at points of a container's life (runtime specification, "Hooks").

Each gets the container's state on its standard input. What it prints is kept for the error message.
"""

import os
import select
import time

from cove.kernel import namespaces, pidfd, processes
from cove.lean import Any, NamedTuple, json, signal, suppress
from cove.oci.runtime import Hook, Spec

IN_RUNTIME = ("prestart", "createRuntime")
"""Those that are run by the parent once the namespaces and mounts are there, before pivot_root."""

_MAX_OUTPUT = 1 << 13
_UMASK = 0o022


class HookFailed(Exception):
    """A hook ended badly or ran too long; the message says which and what it printed."""


class Life(NamedTuple):
    """What hooks are told: the container, and the bundle that runtime hooks find themselves in."""

    container_id: str
    bundle: str

    def state(self, spec: Spec, status: str, pid: int) -> dict[str, Any]:
        """The state as the specification has it. ``pid``: as the hook sees it; 0 when there is no process."""
        state: dict[str, Any] = {"ociVersion": spec["ociVersion"], "id": self.container_id, "status": status}
        if pid:
            state["pid"] = pid
        state["bundle"] = self.bundle
        if spec.get("annotations"):
            state["annotations"] = spec["annotations"]
        return state


def wanted(spec: Spec, *names: str) -> bool:
    """Whether the configuration has hooks of one of these names."""
    return any(_named(spec, name) for name in names)


def run(spec: Spec, names: tuple[str, ...], state: dict[str, Any], directory: str = "") -> None:
    """Run the hooks of these names in their order. Raises HookFailed at the first that fails.

    ``directory``: where a hook of the runtime finds itself, in the runtime's own pid namespace; else it is in ours.
    """
    text = json.dumps(state).encode()
    for name in names:
        for number, hook in enumerate(_named(spec, name)):
            failure = _failure_of(hook, text, directory)
            if failure is not None:
                raise HookFailed(f"error running {name} hook #{number}: {failure}") from failure


def run_all(spec: Spec, name: str, state: dict[str, Any], directory: str = "") -> list[str]:
    """Run the hooks of a name whatever becomes of each; the failures, which are only worth a warning."""
    text = json.dumps(state).encode()
    failures = [(number, _failure_of(hook, text, directory)) for number, hook in enumerate(_named(spec, name))]
    return [f"error running {name} hook #{number}: {failure}" for number, failure in failures if failure is not None]


def _named(spec: Spec, name: str) -> list[Hook]:
    hooks: dict[str, Any] = dict(spec.get("hooks") or {})
    return list(hooks.get(name) or [])


def _failure_of(hook: Hook, state: bytes, directory: str) -> Exception | None:
    try:
        if directory:
            with namespaces.children_beside():
                _run(hook, state, directory)
        else:
            _run(hook, state, "")
    except (OSError, HookFailed) as error:
        return error
    return None


def _run(hook: Hook, state: bytes, directory: str) -> None:
    stdin = os.memfd_create("state", os.MFD_CLOEXEC)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        os.write(stdin, state)
        os.lseek(stdin, 0, os.SEEK_SET)
        pid = os.fork()
        if pid == 0:
            _become(hook, stdin, writer, directory)
        os.close(writer)
        writer = -1
        _await(pid, reader, hook)
    finally:
        for descriptor in (stdin, reader, writer):
            if descriptor >= 0:
                os.close(descriptor)


def _become(hook: Hook, stdin: int, output: int, directory: str) -> None:
    try:
        processes.reset_signals()
        os.umask(_UMASK)
        for number, source in enumerate((stdin, output, output)):
            os.dup2(source, number, inheritable=True)
        processes.close_on_exec_from(3)
        if directory:
            os.chdir(directory)
        variables = dict(entry.split("=", 1) for entry in hook.get("env") or [] if "=" in entry)
        os.execve(hook["path"], hook.get("args") or [hook["path"]], variables)
    except BaseException as error:
        os.write(2, f"{hook.get('path')}: {error}".encode(errors="replace"))
    finally:
        os._exit(127)


def _await(pid: int, reader: int, hook: Hook) -> None:
    """Wait for the hook's end, not for that of what it leaves behind with its output open."""
    process = pidfd.open_pid(pid)
    timeout = hook.get("timeout") or 0
    try:
        output, ended = _collect(process, reader, time.monotonic() + timeout if timeout > 0 else None)
        if not ended:
            pidfd.send_signal(process, signal.SIGKILL)
    finally:
        os.close(process)
        _pid, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if not ended:
        raise HookFailed(f"{hook['path']} ran longer than its timeout of {timeout} s")
    if code:
        how = f"exit status {code}" if code > 0 else f"signal {-code}"
        raise HookFailed(f"{how}: {output.decode(errors='replace').strip()}")


def _collect(process: int, reader: int, deadline: float | None) -> tuple[bytes, bool]:
    """What was printed, at most ``_MAX_OUTPUT``, and whether the process has ended before the deadline."""
    output = bytearray()
    os.set_blocking(reader, False)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.register(reader, select.POLLIN)
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = dict(poll.poll(left))
        if not _read(reader, output):
            with suppress(KeyError):
                poll.unregister(reader)
        if process in ready:
            return bytes(output), True
        if not ready:
            return bytes(output), False


def _read(reader: int, output: bytearray) -> bool:
    """Take what is there; False at the end."""
    try:
        while chunk := os.read(reader, 4096):
            output += chunk[: max(0, _MAX_OUTPUT - len(output))]
    except BlockingIOError:
        return True
    return False
