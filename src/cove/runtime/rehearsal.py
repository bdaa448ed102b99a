"""What every shim does, done a few times in the zygote before it forks any.

A page that a shim writes to becomes its own. Python writes to code that is new to it: it counts calls, specializes
instructions, fills the cache of attribute look-ups, numbers classes. Written here, those pages stay shared (160 KiB of
each shim, measured), and no start pays for it.
"""

import os
import socket

from cove.runtime import channel, messages
from cove.runtime.control import Connection, Control
from cove.runtime.logs.container_log import ContainerLog
from cove.runtime.loop import Loop
from cove.runtime.streams import Streams

_TIMES = 20
"""More than the 8 calls after which Python 3.11 specializes, and those that it takes to settle."""

_START = messages.StartShim(
    container_id="0" * 64,
    run_dir="/nowhere",
    root={"lower": ["/lower"], "upper": "/upper", "work": "/work"},
    log={"driver": "json-file", "path": os.devnull, "max_size": 0, "max_file": 1},
    stdin=False,
    stdin_once=False,
    init=False,
    await_network=True,
    attachments=[],
)


def rehearse() -> None:
    """Leaves nothing open. SIGCHLD has its default disposition after it."""
    for _ in range(_TIMES):
        _talk()
        _relay()


def _talk() -> None:
    """Messages of the daemon and of a child."""
    messages.decode(messages.encode(_START))
    loop = Loop()
    control = Control(loop, _answer, lambda: None)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.adopt(ours)
    control.notify(messages.Created(1))
    control.notify(messages.Started(1, 1))
    messages.send(theirs, messages.Query(1))
    _turn(loop)
    control.close()
    loop.close()
    theirs.close()
    ours, theirs = channel.pair()
    channel.send(theirs, channel.Namespaces())
    channel.receive(ours)
    ours.close()
    theirs.close()


def _answer(connection: Connection, _message: messages.Message, _descriptors: list[int]) -> None:
    connection.send(messages.Done(1, None))


def _relay() -> None:
    """A program's output on its way to the log."""
    loop = Loop()
    loop.reap_children()
    log = ContainerLog(_START.log, loop)
    streams = Streams(loop, log, terminal=False, stdin=False, stdin_once=False, on_detached=lambda _attach_id: None)
    program = streams.pipes()
    os.write(program[1], b"a line\n")
    _turn(loop)
    for descriptor in program:
        os.close(descriptor)
    streams.finish(lambda: None)
    log.finish()
    loop.close()


def _turn(loop: Loop) -> None:
    """What there is to do now."""
    loop.later(0.0, loop.stop)
    loop.run()
