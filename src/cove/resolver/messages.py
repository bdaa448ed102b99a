"""What the daemon and the resolver say to each other.

Each message is one datagram on a SOCK_SEQPACKET unix socket: JSON, with descriptors beside it (SCM_RIGHTS).

::

    coved                                        resolver
      │ Hello ───────────────────────────────────▶│
      │◀──────────────────────────── Welcome ─────│
      │ Begin, Place …, End ─────────────────────▶│ what it has and was not named since Begin is dropped at End
      │ Place (netns, init), Remove … ───────────▶│ at the starts and ends of containers
      │◀──────────────────────────── Done | Failed│
      │◀──────────────────────────── Seen ────────│ only of sandboxes with an egress policy

The resolver listens on ``resolver.sock`` in the run root, and outlives the daemon as shims do. It ends when it has
neither a daemon nor a sandbox.
"""

import json
import os
import socket
from array import array
from typing import Any, NamedTuple, NotRequired, TypedDict

SOCKET_NAME = "resolver.sock"

MAX_MESSAGE = 1 << 17
MAX_DESCRIPTORS = 4


class Endpoint(TypedDict):
    """A container's place on one network. ``network``: its id, ``subnets`` CIDR.

    ``names``: what the container is called there. ``aliases``: what only this container calls others (``--link``), and
    their ids.
    """

    network: str
    network_name: str
    subnets: list[str]
    names: list[str]
    addresses: list[str]
    aliases: dict[str, str]


class Egress(TypedDict):
    """Where a container may go, as far as names say it: domain names, ``*.`` for all below one, each with its ports

    (``443/tcp``; none: all). ``table``: whose sets get what the names stand for. ``sources``: its addresses.
    ``learns``: it may ask for every name, and those that stand for something are told of.
    """

    names: dict[str, list[str]]
    table: str
    sources: list[str]
    learns: bool


class Sandbox(TypedDict):
    """One container. ``endpoints``: in the order in which names are looked up.

    ``serve``: it has 127.0.0.11. ``servers``: those to ask instead of the host's, from inside unless ``egress`` is
    there. ``external``: it reaches what is outside. ``ndots``: names without dots are not asked outside.
    """

    container: str
    endpoints: list[Endpoint]
    serve: bool
    servers: list[str]
    external: bool
    ndots: bool
    egress: NotRequired[Egress]


class Hello(NamedTuple):
    """coved → resolver. ``resolv_conf``: the host's file, which is followed."""

    request: int
    version: str
    resolv_conf: str


class Welcome(NamedTuple):
    """resolver → coved: its version, and the containers that it serves."""

    request: int
    version: str
    serves: int


class Begin(NamedTuple):
    """coved → resolver: everything follows; answered by nothing."""


class End(NamedTuple):
    """coved → resolver: that was everything. Answered by Done."""

    request: int


class Place(NamedTuple):
    """coved → resolver: a container that starts, or has changed. Answered by Done or Failed.

    Descriptors: the network namespace and a pidfd of init. Without them it is a change of one that is there.
    """

    request: int
    sandbox: Sandbox


class Remove(NamedTuple):
    """coved → resolver: a container has ended. Answered by nothing."""

    container: str


class Done(NamedTuple):
    """resolver → coved."""

    request: int


class Failed(NamedTuple):
    """resolver → coved. ``message``: the kernel's words."""

    request: int
    message: str


class Seen(NamedTuple):
    """resolver → coved: a name that a container with an egress policy asked for, and where it leads.

    ``denied``: the policy has no such name; then it has no addresses.
    """

    container: str
    name: str
    addresses: list[str]
    denied: bool


Message = Hello | Welcome | Begin | End | Place | Remove | Done | Failed | Seen

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in Message.__args__}
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def encode(message: Message) -> bytes:
    return _ENCODER.encode([type(message).__name__, *message]).encode()


def decode(datagram: bytes) -> Message:
    """Raises ValueError when it is no message of this version."""
    try:
        kind, *fields = json.loads(datagram)
        message: Message = _KINDS[kind](*fields)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a message of this version: {error}") from error
    return message


def send(connection: socket.socket, datagram: bytes, descriptors: list[int]) -> None:
    """Raises OSError when the peer is gone, BlockingIOError when it does not read."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
    connection.sendmsg([datagram], rights)


def receive(connection: socket.socket) -> tuple[Message, list[int]] | None:
    """One message and its (close-on-exec) descriptors; None at the end.

    Raises BlockingIOError, and ValueError when it is none of this version.
    """
    held = array("i")
    datagram, ancillary, _flags, _address = connection.recvmsg(
        MAX_MESSAGE, socket.CMSG_SPACE(MAX_DESCRIPTORS * held.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            held.frombytes(data[: len(data) - len(data) % held.itemsize])
    if not datagram:
        return None
    try:
        return decode(datagram), list(held)
    except ValueError:
        for descriptor in held:
            os.close(descriptor)
        raise
