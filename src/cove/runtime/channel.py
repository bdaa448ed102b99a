"""What a forked child and its shim say to each other before execve.

::

    shim                                init or exec
      │ fork ───────────────────────────▶│ die with the shim, join the cgroup, unshare
      │◀── Moved (pid) ──────────────────│ (init with a user namespace only: go on in a child)
      │◀── Namespaces (netns) ───────────│ (init only)
      │                                  │ root file system, mounts, pivot_root
      │◀── HooksDue ─────────────────────│ (init only, with hooks of the runtime only)
      │ ── HooksDone, or Failure ───────▶│
      │◀── Console (pty master) ─────────│ (with a terminal only)
      │ ── Interfaces ──────────────────▶│ (init only, when start.await_network; before HooksDue with hooks)
      │                                  │ user, capabilities, limits, seccomp
      │◀── Listener ─────────────────────│ (with a filter that has one only)
      │ ── Taken ───────────────────────▶│
      │◀── Ready ────────────────────────│ (with a gate only: created, and waits there)
      │◀── Failure, or end of file ──────│ execve

The channel is a SOCK_SEQPACKET socket pair, close-on-exec in both processes: end of file without Failure means that
execve succeeded, or that the child was killed before it (the shim sees which from the child's pidfd). Every message
is one datagram of JSON, ``[name, field, ...]``, with file descriptors beside it.
"""

from __future__ import annotations

import os

from cove.kernel import rights
from cove.lean import TYPE_CHECKING, Any, NamedTuple, json, socket

if TYPE_CHECKING:
    from cove.runtime.messages import Interface


class Namespaces(NamedTuple):
    """init → shim: the namespaces exist. Descriptor: the network namespace."""


class Moved(NamedTuple):
    """init → shim: from here on that process is it. ``pid``: as the shim sees it.

    The sender ends; if it is a driver of another runtime (``driven``), once it has started the program and said Ready.
    """

    pid: int
    driven: bool = False


class Program(NamedTuple):
    """driver of an exec → shim: that process is the program, which gets its signals; the driver ends as it does."""

    pid: int


class HooksDue(NamedTuple):
    """init → shim: the namespaces and mounts are there; run the hooks and answer."""


class HooksDone(NamedTuple):
    """shim → init: they went well; go on. If they did not, the answer is Failure."""


class Ready(NamedTuple):
    """init → its parent: all is done but the program; it waits at its gate. Nothing else comes on the channel.

    From a driver: the program runs.
    """


class Console(NamedTuple):
    """child → shim: the terminal exists. Descriptor: its master side."""


class Interfaces(NamedTuple):
    """shim → init: these links are in the network namespace; set them up and go on."""

    interfaces: list[Interface]


class Listener(NamedTuple):
    """child → shim: its system calls are filtered from here on. ``descriptor``: of notifications, in the child."""

    descriptor: int


class Taken(NamedTuple):
    """shim → child: the listener has the descriptor; go on."""


class Failure(NamedTuple):
    """child → shim: there will be no program. ``exit_code``: 125, 126 or 127; ``message``: for the user."""

    exit_code: int
    message: str


ChannelMessage = (
    Namespaces | Moved | Program | HooksDue | HooksDone | Ready | Console | Interfaces | Listener | Taken | Failure
)

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in ChannelMessage.__args__}
_MAX_DATAGRAM = 1 << 17


def pair() -> tuple[socket.socket, socket.socket]:
    """A new channel: the shim's end and the child's end. After the fork each closes the other's (main does it)."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)


def send(channel: socket.socket, message: ChannelMessage, descriptor: int | None = None) -> None:
    """Send one message, with a file descriptor where its docstring says so. Raises OSError when the peer is gone."""
    beside = rights.of(() if descriptor is None else (descriptor,))
    channel.sendmsg([json.dumps([type(message).__name__, *message]).encode()], beside)


def ask(channel: socket.socket, message: ChannelMessage) -> bool:
    """As ``send``, and wait for the answer; False at the end. By write(2), which no filter may hand to a listener."""
    os.write(channel.fileno(), json.dumps([type(message).__name__, *message]).encode())
    return bool(os.read(channel.fileno(), _MAX_DATAGRAM))


def receive(channel: socket.socket) -> tuple[ChannelMessage, int | None] | None:
    """The next message and its close-on-exec descriptor; None at the end.

    Raises BlockingIOError on a non-blocking channel without a message, ValueError when it is none of ours.
    """
    data, ancillary, _flags, _address = channel.recvmsg(_MAX_DATAGRAM, rights.space(1), socket.MSG_CMSG_CLOEXEC)
    descriptors = rights.received(ancillary)
    if not data:
        return None
    name, *fields = json.loads(data)
    if name not in _KINDS:
        raise ValueError(f"not a message of the channel: {name}")
    message: ChannelMessage = _KINDS[name](*fields)
    return message, (descriptors[0] if descriptors else None)


def has_peer(channel: socket.socket) -> bool:
    """Whether the other end is still open; does not wait and takes nothing from the channel."""
    try:
        return bool(channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
