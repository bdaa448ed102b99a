"""What the daemon, the zygote and the shims say to each other.

Every message is one datagram on a SOCK_SEQPACKET unix socket: JSON, with file descriptors beside it
(SCM_RIGHTS). File descriptors are listed in each docstring in the order in which they travel.

::

    coved                         zygote                   shim                      init
      │ StartShim ──────────────────▶│ fork ────────────────▶│                         │
      │                              │                       │ fork ──────────────────▶│ unshare, wait
      │◀──────────────────────────────── Created (netns) ────│                         │
      │ (host side of the veth)      │                       │                         │ overlay, mounts
      │ NetworkReady ───────────────────────────────────────▶│ ───────────────────────▶│ addresses, execve
      │◀──────────────────────────────── Started ────────────│◀─ close-on-exec pipe ───│
      │ Attach, Exec, Resize, Signal … ─────────────────────▶│                         │
      │◀──────────────────────────────── Done | Failed ──────│                         │
      │◀──────────────────────────────── Exited ─────────────│ (exit.json is written)  │

The control socket of a shim is one end of a socket pair that StartShim carries. It also listens on
``shim.sock`` in its run directory (mode 0600); a daemon that comes back connects there and sends Query. A shim
may have several control connections: replies go to the one that asked, notices (Started, Exited, ExecExited,
Detached) to all. A shim that cannot start the container sends StartFailed and exits. End of file on the
control socket without Exited or StartFailed means that the shim itself was killed.

The run directory of a container, ``<exec root>/containers/<id>/``:

========================  ==================================================================================
``config.json``           the OCI configuration (``cove.oci.runtime.Spec``); written by coved
``start.json``            the StartShim message, so that whoever finds the directory knows what it was
``shim.sock``             the shim's control socket
``exec/<exec id>.json``   the OCI ``process`` of an exec; written by coved, removed by the shim once read
``exit.json``             an Exited message, written atomically by the shim before it goes
========================  ==================================================================================

Attach streams are SOCK_STREAM unix sockets. Towards the client they carry the raw terminal bytes, or, without
a terminal, Docker's multiplexed frames (``stream`` byte 1 or 2, three zero bytes, big-endian length, data). From the
client they carry standard input; shutting down the sending side is its end of file.
"""

import os

from cove.kernel import rights
from cove.lean import Any, NamedTuple, NotRequired, Sequence, TypedDict, json, socket
from cove.oci.runtime import IdMapping, Resources

MAX_MESSAGE = 1 << 17
"""Bytes in one datagram. Below the kernel's default send buffer, so that a send never fails for size."""

MAX_DESCRIPTORS = 64
"""File descriptors in one datagram (the kernel's SCM_MAX_FD is 253)."""


class OverlayRoot(TypedDict):
    """A root file system to be mounted inside the container's mount namespace, at the bundle's ``root.path``.

    ``lower``: layers, uppermost first: directories, or images (``kernel.layer_images``). ``upper``, ``work``: of this
    container, in one directory. ``mappings``: of users and of groups, for a container in a user namespace: the files on
    the disk have the ids that the container sees, and it is shown them through idmapped mounts. ``label``: SELinux's,
    of all its files.
    """

    lower: list[str]
    upper: str
    work: str
    mappings: NotRequired[tuple[list[IdMapping], list[IdMapping]]]
    label: NotRequired[str]


class RemoteLog(TypedDict):
    """A log driver that sends. ``options``: as the user gave them, without those of every driver.

    ``info``: what a driver says of the container, by the names of ``cove.runtime.logs.remote``. ``extra``: labels and
    environment that were asked for. ``buffer``: bytes that are kept while the driver is slow, what is more is dropped;
    0: the program waits.
    """

    driver: str
    options: dict[str, str]
    tag: str
    info: dict[str, str]
    extra: dict[str, str]
    buffer: int


class LogTarget(TypedDict):
    """Where the container's output is kept. ``driver``: the files' format, ``json-file`` or ``local``, or ``none``.

    ``max_size`` in bytes and ``max_file`` files bound it (rotation: ``path``, ``path.1``, …); 0 is no bound. ``path``
    is empty when there is no file. ``compress``: old files. ``attributes`` are in every record of ``json-file``.
    ``buffer``: bytes that are kept while the disk is slow, what is more is dropped; without it, the program waits.
    """

    driver: str
    path: str
    max_size: int
    max_file: int
    compress: NotRequired[bool]
    buffer: NotRequired[int]
    attributes: NotRequired[dict[str, str]]
    remote: NotRequired[RemoteLog]


class Interface(TypedDict):
    """A link that is already in the container's network namespace under ``name``; the shim sets it up.

    ``addresses``: CIDR. ``gateway4``, ``gateway6``: the default routes through this link (``0.0.0.0``, ``::``: to the
    link itself, without a gateway), or None. ``sysctls``: names below /proc/sys to values, set before the link is up;
    of a name with ``-`` before it no more than what the kernel has. ``announce``: tell the neighbours, who may remember
    another MAC address. ``routes``: subnets, CIDR, that are reached by a gateway on the link, with that gateway.
    """

    name: str
    addresses: list[str]
    gateway4: str | None
    gateway6: str | None
    sysctls: NotRequired[dict[str, str]]
    announce: NotRequired[bool]
    routes: NotRequired[list[tuple[str, str]]]


class DefaultRoute(TypedDict):
    """``gateway``: as in Interface."""

    link: str
    gateway: str


class Attachment(TypedDict):
    """A client's wish to see and feed a container's or exec's streams.

    ``after_log``: it has read the log, up to the time that the answer tells, and so wants what the log waits to have a
    whole line of.
    """

    attach_id: str
    stdin: bool
    stdout: bool
    stderr: bool
    detach_keys: str  # Docker's syntax: "ctrl-p,ctrl-q"; "" is none
    after_log: NotRequired[bool]


class SeccompFilter(TypedDict):
    """A compiled filter. ``program``: a file of struct sock_filter. ``flags``: of seccomp(2).

    ``listener``: the socket that gets the descriptor of notifications, with ``metadata``, or "" for none.
    """

    program: str
    flags: int
    listener: str
    metadata: str


class ForeignRuntime(TypedDict):
    """Another OCI runtime: the path of its command, and arguments that come before every command's name."""

    path: str
    arguments: list[str]


class StartShim(NamedTuple):
    """coved → zygote. Descriptors: the shim's control socket, then one stream per attachment.

    ``stdin``: keep standard input open (OpenStdin), else /dev/null. ``stdin_once``: close it when the first
    attachment that feeds it ends. ``init``: run the program below a minimal init. ``await_network``: wait for
    NetworkReady between Created and the program. ``seccomp``: for all of the container's processes; None: no filter.
    ``runtime``: another one that is to run the bundle, or None. ``staged``: what the sources of binds lie on and is
    mounted first, each the fields of a ``kernel.staged_mounts.StagedMount``.
    """

    container_id: str
    run_dir: str
    root: OverlayRoot | None
    log: LogTarget
    stdin: bool
    stdin_once: bool
    init: bool
    await_network: bool
    attachments: list[Attachment]
    seccomp: SeccompFilter | None = None
    runtime: ForeignRuntime | None = None
    staged: Sequence[Sequence[Any]] = []  # noqa: RUF012


class Forget(NamedTuple):
    """coved → zygote: these layers are going to be removed; it closes what it holds of them."""

    layers: list[str]


class Created(NamedTuple):
    """shim → coved. Descriptor: the container's network namespace. ``pid``: of init, as the host sees it."""

    pid: int


class NetworkReady(NamedTuple):
    """coved → shim: the links are in the namespace; go on."""

    interfaces: list[Interface]


class Started(NamedTuple):
    """shim → coved: execve succeeded. ``started_at``: nanoseconds since the epoch."""

    pid: int
    started_at: int


class StartFailed(NamedTuple):
    """shim → coved: there is no container. ``exit_code``: Docker's 125, 126 or 127; ``message``: for the user.

    Messages follow runc's words where clients look for them: ``exec: "x": executable file not found in $PATH``,
    ``exec: "/x": stat /x: no such file or directory``, ``exec: "/x": permission denied``.
    """

    exit_code: int
    message: str


class Exited(NamedTuple):
    """shim → coved, and the content of exit.json. ``finished_at``: nanoseconds since the epoch.

    ``exit_code``: the program's, or 128 + the signal that killed it. ``memory_peak``: bytes, 0 unknown.
    """

    exit_code: int
    oom_killed: bool
    finished_at: int
    memory_peak: int = 0


class Attach(NamedTuple):
    """coved → shim. Descriptor: the stream. ``request`` numbers it; Done or Failed answers with the same number."""

    request: int
    attachment: Attachment


class Exec(NamedTuple):
    """coved → shim. Descriptor: the stream, or none when nothing is attached.

    Answered by Done when execve succeeded, else by Failed with the exit code. ExecExited follows later.
    """

    request: int
    exec_id: str
    attachment: Attachment | None


class Resize(NamedTuple):
    """coved → shim: the terminal of the container (``exec_id`` None) or of an exec has a new size, in characters."""

    request: int
    exec_id: str | None
    rows: int
    columns: int


class Signal(NamedTuple):
    """coved → shim: send ``signal`` (its number) to init, to an exec, or (``everyone``) to every process."""

    request: int
    exec_id: str | None
    signal: int
    everyone: bool


class ConfigureNetwork(NamedTuple):
    """coved → shim: links of a running container's namespace have come or are to go.

    ``removed``: names of links to delete, which may be gone already; then ``interfaces`` are set up; then the default
    routes are made to be ``routes``, of IPv4 and IPv6 (None: there is to be none).
    """

    request: int
    interfaces: list[Interface]
    removed: list[str]
    routes: list[DefaultRoute | None]


class Update(NamedTuple):
    """coved → shim: the limits of the running container have changed; those that ``resources`` has not stay."""

    request: int
    resources: Resources


class Query(NamedTuple):
    """coved → shim: what is there? Answered by State."""

    request: int


class State(NamedTuple):
    """shim → coved. Descriptor: the container's network namespace. ``execs``: running ones, id to host pid.

    ``started_at`` is None while the program has not been executed yet.
    """

    request: int
    pid: int
    started_at: int | None
    execs: dict[str, int]


class Done(NamedTuple):
    """shim → coved: the request was carried out. ``pid``: of the exec that it started, else None.

    ``border``: of an attachment that goes on after the log: what the log has up to this time (nanoseconds since the
    epoch) came before it, and nothing else.
    """

    request: int
    pid: int | None
    border: int | None = None


NOT_RUNNING = "the container is not running"
"""What Failed says of a request that came when the container had ended."""


class Failed(NamedTuple):
    """shim → coved: the request was refused. ``exit_code``: of an exec that could not start (126, 127), else None."""

    request: int
    message: str
    exit_code: int | None


class ExecExited(NamedTuple):
    """shim → coved: an exec ended. Comes before the end of its stream, which may still carry the last output."""

    exec_id: str
    exit_code: int


class KilledForMemory(NamedTuple):
    """shim → coved: the kernel has killed a process of the container, which may go on, for want of memory."""


class Detached(NamedTuple):
    """shim → coved: the client of this attachment typed its detach keys; the stream is closed."""

    attach_id: str


Message = (
    StartShim
    | Forget
    | Created
    | NetworkReady
    | Started
    | StartFailed
    | Exited
    | Attach
    | Exec
    | Resize
    | Signal
    | ConfigureNetwork
    | Update
    | Query
    | State
    | Done
    | Failed
    | ExecExited
    | KilledForMemory
    | Detached
)

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in Message.__args__}


_write = json.encoder(between=",", after_key=":")


def encode(message: Message) -> bytes:
    """The datagram of a message."""
    return _write([type(message).__name__, *message]).encode()


class UnknownMessage(ValueError):
    """A message of another version. ``request``: its number, to refuse it with, if it seems to have one."""

    def __init__(self, kind: object, fields: list[object]) -> None:
        super().__init__(f"not a message of this version: {kind}")
        self.request = fields[0] if fields and isinstance(fields[0], int) else None


def decode(datagram: bytes) -> Message:
    """The message of a datagram. Raises ValueError when it is none, UnknownMessage when it is none of ours."""
    try:
        kind, *fields = json.loads(datagram)
    except (TypeError, RecursionError) as error:
        raise ValueError("a datagram that is no message") from error
    try:
        message: Message = _KINDS[kind](*fields)
    except (KeyError, TypeError) as error:
        raise UnknownMessage(kind, fields) from error
    return message


def send(connection: socket.socket, message: Message, descriptors: list[int] | None = None) -> None:
    """Send one message with its file descriptors. Raises OSError when the peer is gone."""
    connection.sendmsg([encode(message)], rights.of(descriptors or ()))


def receive(connection: socket.socket) -> tuple[Message, list[int]] | None:
    """Receive one message and its (close-on-exec) file descriptors; None at the end of the connection.

    Raises BlockingIOError on a non-blocking socket without a message, ValueError when the datagram is no message.
    """
    datagram, ancillary, _flags, _address = connection.recvmsg(
        MAX_MESSAGE, rights.space(MAX_DESCRIPTORS), socket.MSG_CMSG_CLOEXEC
    )
    descriptors = rights.received(ancillary)
    if not datagram:
        return None
    try:
        return decode(datagram), descriptors
    except ValueError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
