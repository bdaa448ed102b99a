"""The last steps before a program runs: who it is, what it may do, and execve. Shared by init and by execs.

All of it happens in the container's namespaces. Errors have the words and exit codes that users of Docker know.
"""

import errno
import fcntl
import os
import stat
import sys

from cove.kernel import capabilities, mounts, paths, processes, rlimits, seccomp, tty
from cove.lean import TYPE_CHECKING, Literal, NamedTuple, NoReturn, Sequence, json, signal, socket
from cove.oci.runtime import Process, Spec
from cove.runtime import channel as channels
from cove.runtime.channel import Failure, Listener
from cove.runtime.confinement import Confinement
from cove.runtime.user import Identity

_Kind = Literal["bounding", "effective", "permitted", "inheritable", "ambient"]

if TYPE_CHECKING:
    from cove.runtime.labels import Labels

CANNOT_START = 125
CANNOT_INVOKE = 126
NOT_FOUND = 127
_DEFAULT_UMASK = 0o022
_MAX_MESSAGE = 1 << 14


class Stdio(NamedTuple):
    """The descriptors that become 0, 1 and 2. With a terminal all three are None: the terminal is used instead."""

    stdin: int | None
    stdout: int | None
    stderr: int | None


class CannotStart(Exception):
    """There will be no program. ``exit_code``: 125, 126 or 127."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message


def detach_from_shim(channel: socket.socket, stdio: Stdio, others: Sequence[int] = ()) -> Stdio:
    """The first steps of a forked child: close what is not its own, do not outlive the shim, import nothing more.

    Returns the streams with the host's /dev/null where there are none. The import system is switched off because
    from here on modules would be found in the container's file system.
    """
    streams = [stream for stream in stdio if stream is not None]
    processes.close_all_but([0, 1, 2, channel.fileno(), *streams, *others])
    null = _open_null()
    processes.set_parent_death_signal(signal.SIGKILL)
    if not channels.has_peer(channel):  # the shim ended before the line above
        os._exit(CANNOT_START)
    processes.set_dumpable(False)
    processes.reset_signals()
    sys.meta_path.clear()
    return Stdio(*(null if stream is None else stream for stream in stdio))


def _open_null() -> int:
    """Above 2: whatever is opened from here on must not become one of the streams that ``set_streams`` replaces."""
    while (descriptor := os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)) <= 2:
        pass
    return descriptor


def fail(channel: socket.socket, error: BaseException) -> NoReturn:
    """Tell the shim why there is no program, and exit with the code that it gets."""
    failure = _failure(error)
    try:
        channels.send(channel, failure)
    finally:
        os._exit(failure.exit_code)


def fail_at_gate(result: int, error: BaseException) -> NoReturn:
    """The same for a container that was created already: tell whoever starts it."""
    failure = _failure(error)
    try:
        os.write(result, json.dumps(list(failure)).encode())
    finally:
        os._exit(failure.exit_code)


def _failure(error: BaseException) -> Failure:
    if isinstance(error, CannotStart):
        return Failure(error.exit_code, error.message[:_MAX_MESSAGE])
    if not isinstance(error, OSError):
        words = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return Failure(CANNOT_START, words[:_MAX_MESSAGE])
    words = error.strerror or str(error)
    if error.filename is not None:
        words = f"{words}: {error.filename}"
    codes = {errno.ENOENT: NOT_FOUND, errno.EACCES: CANNOT_INVOKE}  # what Docker makes of the kernel's words
    return Failure(codes.get(error.errno or 0, CANNOT_START), words[:_MAX_MESSAGE])


def open_terminal(root: int, process: Process) -> tuple[int, int]:
    """Allocate a terminal from the container's own /dev/pts: its master side and its other side."""
    master = paths.open_in_root(root, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    if mounts.file_system_magic(master) != mounts.DEVPTS_MAGIC:
        raise CannotStart(CANNOT_START, "/dev/pts is not a devpts file system")
    os.set_blocking(master, True)
    slave = tty.open_pair(master)
    size = process.get("consoleSize")
    if size:
        tty.set_window_size(slave, size["height"], size["width"])
    return master, slave


def set_streams(stdio: Stdio, terminal: int | None) -> None:
    """Make the streams, or the terminal, 0, 1 and 2 of a new session."""
    os.setsid()
    if terminal is not None:
        tty.make_controlling(terminal)
    sources = [source if terminal is None else terminal for source in stdio]
    for number, source in enumerate([_above_streams(source) for source in sources if source is not None]):
        os.dup2(source, number, inheritable=True)


def _above_streams(descriptor: int) -> int:
    """A copy that a dup2 to 0, 1 or 2 does not overwrite."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3) if descriptor <= 2 else descriptor


def set_oom_score(process: Process) -> None:
    """While /proc is still the host's: a container could have put something else there."""
    if "oomScoreAdj" in process:
        processes.set_oom_score_adjustment(process["oomScoreAdj"])


def schedule(spec: Spec) -> None:
    """The scheduling and the execution domain that the configuration asks for. Raises ValueError, OSError."""
    schedule_process(spec["process"])
    if personality := spec.get("linux", {}).get("personality"):
        from cove.runtime import scheduling

        scheduling.set_personality(personality)


def schedule_process(process: Process) -> None:
    """Its scheduling on processors and disks. Raises ValueError, OSError."""
    if process.get("scheduler") or process.get("ioPriority"):
        from cove.runtime import scheduling

        scheduling.apply(process)


def open_labels(process: Process) -> "Labels | None":
    """What ``labels`` has to apply later, while /proc is still the host's; None when there are none."""
    if not (process.get("apparmorProfile") or process.get("selinuxLabel")):
        return None
    from cove.runtime import labels

    return labels.open_for(process)


def enter_directory(root: int, path: str, *, create: bool) -> None:
    """Make ``path`` the working directory, and be sure that it is inside the root."""
    path = path or "/"
    try:
        directory = paths.make_directories(root, path) if create else paths.open_in_root(root, path, _DIRECTORY)
    except NotADirectoryError:
        raise CannotStart(CANNOT_START, f"Cannot mkdir: {path} is not a directory") from None
    except OSError as error:
        words = os.strerror(error.errno or 0).lower()
        raise CannotStart(_exit_code(error), f'chdir to cwd ("{path}") set in config.json failed: {words}') from None
    os.fchdir(directory)
    os.close(directory)
    if not os.getcwd().startswith("/"):  # the kernel says "(unreachable)" for a directory of another root
        raise CannotStart(CANNOT_START, "current working directory is outside of container mount namespace root")


_DIRECTORY = os.O_PATH | os.O_DIRECTORY


def raise_limits(process: Process) -> None:
    """Let limits be as high as they will be set: root of a user namespace may only lower them. Raises ValueError."""
    for limit in process.get("rlimits", []):
        rlimits.raise_hard_limit(limit["type"], limit["hard"])


def become(process: Process, identity: Identity, *, confined: bool) -> None:
    """Take the limits, the user and the capabilities of the program. Raises OSError, ValueError.

    ``confined``: a filter will follow. What ``confine`` needs for it is kept until then.
    """
    for limit in process.get("rlimits", []):
        rlimits.set_limit(limit["type"], limit["soft"], limit["hard"])
    os.umask(process.get("user", {}).get("umask", _DEFAULT_UMASK))
    _give_streams(identity.uid)
    _change_user(process, identity, _FILTERING if confined and not process.get("noNewPrivileges") else 0)
    if process.get("noNewPrivileges"):
        processes.set_no_new_privileges()


_FILTERING = capabilities.mask(["CAP_SYS_ADMIN"])  # what seccomp(2) wants of a process that may gain privileges


def confine(process: Process, confinement: Confinement | None, channel: socket.socket, preserved: int = 0) -> None:
    """Put the filter on this process, as the last thing before the program: what follows has to pass it.

    Then give up what only that needed. ``preserved`` descriptors after 2 are the program's. Raises OSError.
    """
    for descriptor in range(3, 3 + preserved):
        os.set_inheritable(descriptor, True)
    processes.close_on_exec_from(3 + preserved)
    if confinement is None:
        return
    listener = seccomp.load(confinement.program, confinement.flags)
    if listener is not None:
        if not channels.ask(channel, Listener(listener)):
            raise CannotStart(CANNOT_START, "the start was cancelled")
        os.close(listener)
    if not process.get("noNewPrivileges"):
        capabilities.set_own(*(_capabilities(process, kind) for kind in ("effective", "permitted", "inheritable")))


def _capabilities(process: Process, kind: _Kind) -> int:
    return capabilities.mask(process.get("capabilities", {}).get(kind, []))


def _change_user(process: Process, identity: Identity, kept: int) -> None:
    effective, permitted = _capabilities(process, "effective") | kept, _capabilities(process, "permitted") | kept
    capabilities.limit_bounding(_capabilities(process, "bounding"))
    capabilities.keep_over_setuid(True)
    os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    capabilities.set_own(effective, permitted, _capabilities(process, "inheritable"))
    capabilities.keep_over_setuid(False)
    inheritable = _capabilities(process, "inheritable")
    capabilities.set_ambient(_capabilities(process, "ambient") & permitted & inheritable)  # no other can be granted
    processes.set_parent_death_signal(signal.SIGKILL)  # the change of user undid both
    processes.set_dumpable(False)


def _give_streams(uid: int) -> None:
    """Let the user open its own streams again, as /dev/stdout. Only pipes and terminals change hands."""
    if uid == 0:
        return
    for number in range(3):
        found = os.fstat(number)
        if found.st_uid != uid and (stat.S_ISFIFO(found.st_mode) or os.isatty(number)):
            os.fchown(number, uid, -1)


def environment(process: Process, identity: Identity) -> dict[str, str]:
    """The variables of the program: the last of a name counts, and HOME is the user's when it is not given."""
    variables = dict(entry.split("=", 1) for entry in process.get("env", []) if "=" in entry[1:])
    variables.setdefault("HOME", identity.home)
    if not variables["HOME"]:
        variables["HOME"] = identity.home
    return variables


def find(process: Process, variables: dict[str, str]) -> str:
    """The path of the program. Raises CannotStart."""
    if not process["args"]:
        raise CannotStart(CANNOT_START, "process.args: No command specified")
    return find_program(process["args"][0], variables.get("PATH", ""))


def execute(program: str, process: Process, variables: dict[str, str]) -> NoReturn:
    """Run the program in place of this process. Raises CannotStart."""
    try:
        os.execve(program, process["args"], variables)
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            _end_as_a_program(program)
        raise CannotStart(_exit_code(error), f"exec {program}: {os.strerror(error.errno or 0).lower()}") from None
    except ValueError as error:  # a zero byte in an argument or a variable
        raise CannotStart(CANNOT_START, f"process: {error}") from None


def _end_as_a_program(program: str) -> NoReturn:
    """For a file that is no program of this machine's: Docker has it "run", and say so on its own error stream.

    The shim, which goes by the process's name and the end of the channel, takes it for a program that ran.
    """
    processes.set_name("exec")
    processes.close_range(3)
    os.write(2, f"exec {program}: exec format error\n".encode(errors="surrogateescape"))
    os._exit(CANNOT_INVOKE)


def find_program(name: str, search: str) -> str:
    """The path of a program, by PATH unless it has a slash, as this process may execute it. Raises CannotStart."""
    if "/" in name:
        _check_program(name)
        return name
    for directory in search.split(":"):
        candidate = f"{directory or '.'}/{name}"
        if name and _is_executable(candidate):
            return candidate
    raise CannotStart(NOT_FOUND, f'exec: "{name}": executable file not found in $PATH')


def _check_program(name: str) -> None:
    try:
        mode = os.stat(name).st_mode
    except OSError as error:
        words = os.strerror(error.errno or 0).lower()
        raise CannotStart(_exit_code(error), f'exec: "{name}": stat {name}: {words}') from None
    if stat.S_ISDIR(mode):
        raise CannotStart(CANNOT_INVOKE, f'exec: "{name}": is a directory')
    if not _is_executable(name):
        raise CannotStart(CANNOT_INVOKE, f'exec: "{name}": permission denied')


def _is_executable(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISDIR(mode) and bool(mode & 0o111) and os.access(path, os.X_OK)


def _exit_code(error: OSError) -> int:
    return NOT_FOUND if error.errno == errno.ENOENT else CANNOT_INVOKE
