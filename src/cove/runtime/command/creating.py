"""``create``, ``run`` and ``start``."""

import os

from cove.lean import Any, json
from cove.oci.runtime import Spec
from cove.runtime.command import bundle
from cove.runtime.command.arguments import BOOL, INT, TEXT, Flag, expect, flag
from cove.runtime.command.birth import Birth, Born, be_subreaper, now
from cove.runtime.command.call import Call
from cove.runtime.command.container import GO, RESULT, Container, Failed, check_id, load, start_time
from cove.runtime.manner import Manner

NOTIFY_SOCKET = "NOTIFY_SOCKET"
"""The variable of sd_notify(3): a service manager waits for the program."""

CREATE_FLAGS: tuple[Flag, ...] = (
    flag("bundle,b", TEXT, "path to the root of the bundle directory, defaults to the current directory"),
    flag("console-socket", TEXT, "path to an AF_UNIX socket which will receive the master of the console's terminal"),
    flag("pidfd-socket", TEXT, "path to an AF_UNIX socket which will receive a pidfd of the init process"),
    flag("pid-file", TEXT, "specify the file to write the process id to"),
    flag("no-pivot", BOOL, "do not use pivot root to jail process inside rootfs"),
    flag("no-new-keyring", BOOL, "do not create a new session keyring for the container"),
    flag("preserve-fds", INT, "pass N additional file descriptors to the container (3 to 2+N)"),
)
RUN_FLAGS: tuple[Flag, ...] = (
    *CREATE_FLAGS,
    flag("detach,d", BOOL, "detach from the container's process"),
    flag("keep", BOOL, "do not delete the container after it exits"),
    flag("no-subreaper", BOOL, "disable the use of the subreaper used to reap reparented processes"),
)
START_FLAGS: tuple[Flag, ...] = ()


def create(call: Call) -> int:
    """A container up to the moment before its program."""
    values, words = call.parse(CREATE_FLAGS)
    expect(words, 1, 1, "create")
    _make(call, words[0], values, detached=True)
    return 0


def start(call: Call) -> int:
    """Let the program of a created container begin."""
    _values, words = call.parse(START_FLAGS)
    expect(words, 1, 1, "start")
    container = load(call.root, words[0])
    status = container.status()
    if status == "stopped":
        raise Failed("cannot start a container that has stopped")
    if status != "created":
        raise Failed(f"cannot start an already {status} container" if status == "running" else f"container is {status}")
    _begin(container, call)
    return 0


def run(call: Call) -> int:
    """Create, start, and unless detached wait for the end and delete."""
    values, words = call.parse(RUN_FLAGS)
    expect(words, 1, 1, "run")
    if not values["detach"] and not values["no-subreaper"]:
        be_subreaper()
    container, born = _make(call, words[0], values, detached=values["detach"])
    try:
        if values["detach"]:
            _begin(container, call)
            return 0
        from cove.runtime.command.foreground import Foreground

        foreground = Foreground(born.pid, born.console)
        _begin(container, call, waits=False)
        code = foreground.run()
    except BaseException:
        _remove(container, call)
        raise
    if not values["keep"]:
        _remove(container, call)
    return code


def _begin(container: Container, call: Call, *, waits: bool = True) -> None:
    """Open the gate. A service manager is told when the program says that it is ready; ``waits``: until then."""
    if not os.environ.get(NOTIFY_SOCKET):
        open_gate(container, call)
        return
    from cove.runtime.command import notify

    with notify.listening(container.notify_directory) as listener:
        open_gate(container, call)
        if listener is not None:
            (notify.forward if waits else notify.forward_beside)(listener, container.pid)


def open_gate(container: Container, call: Call) -> None:
    """Let init go on, and wait until it has become the program. Raises Failed with init's words."""
    result = os.open(f"{container.directory}/{RESULT}", os.O_RDONLY | os.O_CLOEXEC)
    go = os.open(f"{container.directory}/{GO}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.unlink(f"{container.directory}/{GO}")
        os.write(go, b"1")
        failure = b"".join(iter(lambda: os.read(result, 4096), b""))
    finally:
        os.close(go)
        os.close(result)
    if failure:
        _code, message = json.loads(failure)
        raise Failed(f"unable to start container process: {message}")
    if container.spec.get("hooks"):
        _run_poststart(container, call)


def _run_poststart(container: Container, call: Call) -> None:
    from cove.runtime import hooks

    life = hooks.Life(container.id, container.record["bundle"])
    state = life.state(container.spec, "running", container.pid)
    for failure in hooks.run_all(container.spec, "poststart", state, container.record["bundle"]):
        call.journal.warning(failure)


def _remove(container: Container, call: Call) -> None:
    from cove.runtime.command.ending import destroy

    destroy(container, call.journal)


def _make(call: Call, container_id: str, values: dict[str, Any], *, detached: bool) -> tuple[Container, Born]:
    check_id(container_id)
    directory = os.path.realpath(values["bundle"] or ".")
    spec = bundle.load(directory, container_id, call.journal, systemd=call.systemd)
    _check_console(spec, values, detached)
    check_preserved(values["preserve-fds"])
    container = Container(call.root, container_id, _record(spec, directory))
    _make_directory(call.root, container)
    birth = None
    try:
        gate = container.make_gate()
        manner = Manner(
            gate,
            tied=False,
            keyring=not values["no-new-keyring"],
            pivot=not values["no-pivot"],
            preserved=values["preserve-fds"],
        )
        if os.environ.get(NOTIFY_SOCKET):
            from cove.runtime.command import notify

            notify.prepare(container.notify_directory, spec)
        with open(f"{container.directory}/config.json", "w", encoding="utf-8") as file:
            file.write(json.dumps(spec))
        if wanted := spec["linux"].get("seccomp"):
            from cove.runtime.command.filters import filter_of

            container.record["filter"] = filter_of(call.root, wanted, container.directory)
        birth = Birth(container, spec, manner)
        born = birth.run()
        for descriptor in gate:
            os.close(descriptor)
        _tell(container, born, values)
    except BaseException:
        if birth is not None:
            birth.undo()
        container.remove_directory()
        raise
    return container, born


def _record(spec: Spec, directory: str) -> dict[str, Any]:
    return {
        "ociVersion": spec["ociVersion"],
        "pid": 0,
        "start": "",
        "bundle": directory,
        "rootfs": spec["root"]["path"],
        "created": now(),
        "annotations": spec.get("annotations") or {},
        "owner": "root" if os.geteuid() == 0 else str(os.geteuid()),
        "cgroup": spec["linux"]["cgroupsPath"],
    }


def _make_directory(root: str, container: Container) -> None:
    os.makedirs(root, mode=0o700, exist_ok=True)
    try:
        os.mkdir(container.directory, 0o700)
    except FileExistsError:
        raise Failed("container with given ID already exists") from None


def _tell(container: Container, born: Born, values: dict[str, Any]) -> None:
    """Keep the record, and tell the caller what it asked for."""
    container.record |= {"pid": born.pid, "start": start_time(born.pid)}
    container.save()
    if values["console-socket"]:
        from cove.runtime.command.console import hand_over

        hand_over(values["console-socket"], born.console)
    if values["pidfd-socket"]:
        from cove.runtime.command.console import send_pidfd

        send_pidfd(values["pidfd-socket"], born.pid)
    if values["pid-file"]:
        write_pid_file(values["pid-file"], born.pid)


def write_pid_file(path: str, pid: int) -> None:
    """Whole or not at all, since somebody waits for it."""
    directory, _, name = os.path.abspath(path).rpartition("/")
    with open(f"{directory}/.{name}", "w", encoding="ascii") as file:
        file.write(str(pid))
    os.rename(f"{directory}/.{name}", path)


def check_preserved(count: int) -> None:
    """Raises Failed unless the descriptors are there."""
    for descriptor in range(3, 3 + count):
        try:
            os.fstat(descriptor)
        except OSError:
            raise Failed(f"--preserve-fds: descriptor {descriptor} is not open") from None


def _check_console(spec: Spec, values: dict[str, Any], detached: bool) -> None:
    terminal = bool(spec["process"].get("terminal"))
    if detached and terminal and not values["console-socket"]:
        raise Failed("cannot allocate a tty when detached without --console-socket")
    if values["console-socket"] and not (detached and terminal):
        raise Failed("--console-socket is for a detached container with a tty")
