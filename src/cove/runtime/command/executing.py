"""``exec``: a further process in a container."""

import os

from cove.kernel.cgroups import Cgroup
from cove.lean import Any, NoReturn, json, socket, suppress
from cove.oci.runtime import Process
from cove.runtime import channel, confinement, join, namespaces, rare
from cove.runtime.command import bundle
from cove.runtime.command.arguments import BOOL, INT, LIST, TEXT, Flag, Refused, expect, flag
from cove.runtime.command.birth import be_subreaper
from cove.runtime.command.call import Call
from cove.runtime.command.container import Container, Failed, load
from cove.runtime.command.creating import check_preserved, write_pid_file
from cove.runtime.manner import Manner
from cove.runtime.process import Stdio

EXEC_FLAGS: tuple[Flag, ...] = (
    flag("console-socket", TEXT, "path to an AF_UNIX socket which will receive the master of the console's terminal"),
    flag("pidfd-socket", TEXT, "path to an AF_UNIX socket which will receive a pidfd of the process"),
    flag("cwd", TEXT, "current working directory in the container"),
    flag("env,e", LIST, "set environment variables"),
    flag("tty,t", BOOL, "allocate a pseudo-TTY"),
    flag("user,u", TEXT, "UID (format: <uid>[:<gid>])"),
    flag("additional-gids,g", LIST, "additional gids"),
    flag("process,p", TEXT, "path to the process.json"),
    flag("detach,d", BOOL, "detach from the container's process"),
    flag("pid-file", TEXT, "specify the file to write the process id to"),
    flag("process-label", TEXT, "set the asm process label for the process"),
    flag("apparmor", TEXT, "set the apparmor profile for the process"),
    flag("no-new-privs", BOOL, "set the no new privileges value for the process"),
    flag("cap,c", LIST, "add a capability to the bounding set for the process"),
    flag("preserve-fds", INT, "pass N additional file descriptors to the process (3 to 2+N)"),
    flag("cgroup", LIST, "run the process in a (sub-)cgroup"),
    flag("ignore-paused", BOOL, "allow exec in a paused container"),
)
_FAILED = 255


def execute(call: Call) -> int:
    values, words = call.parse(EXEC_FLAGS)
    expect(words, 1 if values["process"] else 2, None, "exec")
    container = load(call.root, words[0])
    _check_status(container, values)
    try:
        process = _process(container, values, words[1:])
        bundle.check_process(process)
        bundle.grantable(process, call.journal)
        return _run(container, process, values)
    except Failed as error:
        raise Failed(str(error), _FAILED) from None


def _check_status(container: Container, values: dict[str, Any]) -> None:
    status = container.status()
    if status in ("stopped", "creating"):
        raise Failed(f"cannot exec in a {status} container", _FAILED)
    if status == "paused" and not values["ignore-paused"]:
        raise Failed("cannot exec in a paused container (use --ignore-paused to override)", _FAILED)


def _process(container: Container, values: dict[str, Any], arguments: list[str]) -> Process:
    """The process of --process, or the container's with what the flags change."""
    if values["process"]:
        try:
            with open(values["process"], "rb") as file:
                given: Process = bundle.numeric(json.loads(file.read()))
        except (OSError, ValueError) as error:
            raise Failed(f"{values['process']}: {error}") from None
        return given
    process: Any = {**container.spec["process"], "args": arguments, "terminal": values["tty"]}
    process.pop("consoleSize", None)
    process["env"] = [*(process.get("env") or []), *values["env"]]
    process["cwd"] = values["cwd"] or process["cwd"]
    process["noNewPrivileges"] = values["no-new-privs"] or process.get("noNewPrivileges", False)
    for key, name in (("selinuxLabel", "process-label"), ("apparmorProfile", "apparmor")):
        if values[name]:
            process[key] = values[name]
    process["user"] = _user(process.get("user") or {}, values)
    if values["cap"]:
        process["capabilities"] = _with_capabilities(process.get("capabilities") or {}, values["cap"])
    made: Process = process
    return made


def _user(user: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    made = dict(user)
    if values["user"]:
        uid, _, gid = values["user"].partition(":")
        if not uid.isdecimal() or (gid and not gid.isdecimal()):
            raise Refused(f"--user: {values['user']!r} is not <uid>[:<gid>]")
        made["uid"] = int(uid)
        if gid:
            made["gid"] = int(gid)
    if values["additional-gids"]:
        made["additionalGids"] = [*made.get("additionalGids", []), *map(int, values["additional-gids"])]
    return made


def _with_capabilities(sets: dict[str, Any], added: list[str]) -> dict[str, Any]:
    wider = {kind: list(sets.get(kind) or []) for kind in ("bounding", "effective", "permitted")}
    for names in wider.values():
        names += [name for name in added if name not in names]
    return {**sets, **wider}


def _run(container: Container, process: Process, values: dict[str, Any]) -> int:
    detached = values["detach"]
    if process.get("terminal") and detached and not values["console-socket"]:
        raise Failed("cannot allocate a tty when detached without --console-socket")
    check_preserved(values["preserve-fds"])
    if not detached:
        be_subreaper()
    group = _group(container, values["cgroup"])
    pid, console = _fork(container, process, group, values["preserve-fds"])
    if values["pidfd-socket"]:
        from cove.runtime.command.console import send_pidfd

        send_pidfd(values["pidfd-socket"], pid)
    if values["console-socket"]:
        from cove.runtime.command.console import hand_over

        hand_over(values["console-socket"], console)
        console = -1
    if values["pid-file"]:
        write_pid_file(values["pid-file"], pid)
    if detached:
        return 0
    from cove.runtime.command.foreground import Foreground

    return Foreground(pid, console).run()


def _group(container: Container, wanted: list[str]) -> Cgroup:
    """The container's, or the one below it that was asked for, which has to be there. Raises Failed."""
    group = container.cgroup
    for word in wanted:
        if ":" in word or len(wanted) > 1:
            raise Failed(f"--cgroup: {word!r}: a group for some controllers only is not supported")
        try:
            group = Cgroup(group.layout, f"{group.path}/{word.strip('/')}" if word.strip("/") else group.path)
        except ValueError:
            raise Failed(f"--cgroup: {word!r} is not below the container's control group") from None
        if not all(os.path.isdir(directory) for directory in group.directories):
            raise Failed(f"--cgroup: {word!r}: there is no such control group")
    return group


def _fork(container: Container, process: Process, group: Cgroup, preserved: int) -> tuple[int, int]:
    """The process's id, once its program runs, and the master of its terminal or -1. Raises Failed."""
    try:
        rare.load_for_process(process)
        target = namespaces.open_target(container.pid, container.spec)
        namespaces.enter_of(container.pid, container.spec)
        ours, theirs = channel.pair()
        pid = os.fork()
        if pid == 0:
            _become(container, target, process, group, theirs, preserved)
        theirs.close()
    except (OSError, ValueError) as error:
        raise Failed(f"unable to start container process: {error}") from None
    with ours:
        return pid, _follow(ours, pid, container)


def _become(
    container: Container,
    target: namespaces.Target,
    process: Process,
    group: Cgroup,
    theirs: socket.socket,
    preserved: int,
) -> NoReturn:
    stdio = Stdio(None, None, None) if process.get("terminal") else Stdio(0, 1, 2)
    manner = Manner(tied=False, preserved=preserved)
    filter_ = confinement.read(container.record.get("filter"))
    join.main(target, process, group, stdio, theirs, filter_, manner)


def _follow(ours: socket.socket, pid: int, container: Container) -> int:
    console = -1
    while True:
        try:
            received = channel.receive(ours)
        except ConnectionResetError:
            received = None
        if received is None:
            return console
        message, descriptor = received
        if isinstance(message, channel.Failure):
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
            raise Failed(f"unable to start container process: {message.message}")
        if isinstance(message, channel.Listener):
            subject = confinement.Subject(container.id, container.record["bundle"], pid, container.pid, "running")
            confinement.notify(container.record["filter"], subject, message.descriptor)
            channel.send(ours, channel.Taken())
        if descriptor is not None:
            console = descriptor
