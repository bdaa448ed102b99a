"""The daemon's end of a shim's control connection, against a peer that speaks the real messages on a real socket."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cove.engine.lifecycle import streams
from cove.engine.lifecycle.shims import SOCKET_NAME, ExecRefused, Shim, adopt
from cove.errors import Conflict, NotFound, Unavailable
from cove.runtime import messages
from cove.runtime.messages import (
    Attach,
    Created,
    Detached,
    Done,
    Exec,
    ExecExited,
    Exited,
    Failed,
    NetworkReady,
    Query,
    Resize,
    Signal,
    Started,
    StartFailed,
    State,
)

ID = "c0ffee"
NOT_RUNNING = f"container {ID} is not running"


class Peer:
    """The shim's end: says what a test has it say, and hands over what it was told."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.setblocking(False)

    def say(self, message: messages.Message, *descriptors: int) -> None:
        messages.send(self._connection, message, list(descriptors))

    def say_raw(self, datagram: bytes) -> None:
        self._connection.send(datagram)

    async def heard(self, descriptors: int = 0) -> Any:
        """The next message; the descriptors that came with it are counted and closed."""
        for _ in range(5):
            await asyncio.sleep(0)
        received = messages.receive(self._connection)
        assert received is not None and len(received[1]) == descriptors
        for descriptor in received[1]:
            os.close(descriptor)
        return received[0]

    def go(self) -> None:
        self._connection.close()


def with_shim(body: Callable[[Shim, Peer], Awaitable[None]]) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        shim, peer = Shim(ID, ours), Peer(theirs)
        try:
            await asyncio.wait_for(body(shim, peer), 20)
        finally:
            shim.close()
            peer.go()

    before = set(os.listdir("/proc/self/fd"))
    asyncio.run(run())
    assert set(os.listdir("/proc/self/fd")) == before, "descriptors are left open"


def test_a_start_from_created_to_exited() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
        peer.say(Created(42), namespace)
        os.close(namespace)
        pid, received = await shim.created
        assert pid == 42 and os.readlink(f"/proc/self/fd/{received}").startswith("net:")
        os.close(received)
        shim.configure([])
        assert await peer.heard() == NetworkReady([])
        peer.say(Started(42, 7))
        assert await shim.started == Started(42, 7) and shim.alive
        peer.say(Exited(3, True, 9))
        assert await shim.exited == Exited(3, True, 9) and not shim.alive

    with_shim(body)


def test_a_start_that_fails() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        peer.say(StartFailed(127, "not found"))
        assert await shim.exited is None
        assert shim.failure == StartFailed(127, "not found")
        assert shim.created.cancelled() and shim.started.cancelled()

    with_shim(body)


def test_a_shim_that_was_killed_says_nothing() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        peer.go()
        assert await shim.exited is None and shim.failure is None
        with pytest.raises(Conflict, match=NOT_RUNNING):
            await shim.signal(15)

    with_shim(body)


def test_what_was_said_before_the_end_is_heard() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        peer.say(Started(1, 2))
        peer.say(ExecExited("e", 4))
        peer.say(Exited(0, False, 3))
        peer.go()
        assert await shim.exited == Exited(0, False, 3)
        assert shim.started.result() == Started(1, 2) and await shim.exec_exit("e") == 4

    with_shim(body)


def test_answers_find_their_requests_in_any_order() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        execs = [asyncio.create_task(shim.exec(name, None, None)) for name in "abc"]
        asked = [await peer.heard() for _ in execs]
        assert [request.exec_id for request in asked] == ["a", "b", "c"]
        for request in reversed(asked):
            peer.say(Done(request.request, 100 + ord(request.exec_id)))
        assert await asyncio.gather(*execs) == [197, 198, 199]

    with_shim(body)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda shim: shim.resize("e", 24, 80), Resize(1, "e", 24, 80)),
        (lambda shim: shim.resize(None, 1, 2), Resize(1, None, 1, 2)),
        (lambda shim: shim.signal(9), Signal(1, None, 9, False)),
        (lambda shim: shim.signal(15, exec_id="e"), Signal(1, "e", 15, False)),
        (lambda shim: shim.signal(9, everyone=True), Signal(1, None, 9, True)),
        (lambda shim: shim.configure_network([], [], []), messages.ConfigureNetwork(1, [], [], [])),
        (lambda shim: shim.exec("e", None, None), Exec(1, "e", None)),
    ],
)
def test_requests_and_refusals(call: Callable[[Shim], Awaitable[Any]], message: messages.Message) -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        asking = asyncio.ensure_future(call(shim))
        assert await peer.heard() == message
        peer.say(Failed(1, "no terminal", None))
        with pytest.raises(Conflict, match="no terminal"):
            await asking

    with_shim(body)


def test_an_exec_that_cannot_start_has_an_exit_code() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        asking = asyncio.ensure_future(shim.exec("e", None, None))
        await peer.heard()
        peer.say(Failed(1, "executable file not found", 127))
        with pytest.raises(ExecRefused, match="executable file not found") as refused:
            await asking
        assert refused.value.exit_code == 127

    with_shim(body)


def test_a_stream_travels_with_its_attachment() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        attachment = streams.attachment(stdin=True, stdout=True, stderr=False, detach_keys="")
        ours, theirs = streams.socket_pair()
        with ours, theirs:
            asking = asyncio.ensure_future(shim.attach(attachment, theirs))
            assert await peer.heard(descriptors=1) == Attach(1, attachment)
            peer.say(Done(1, None))
            await asking
            starting = asyncio.ensure_future(shim.exec("e", attachment, theirs))
            assert await peer.heard(descriptors=1) == Exec(2, "e", attachment)
            peer.say(Done(2, 5))
            assert await starting == 5

    with_shim(body)


def test_a_query_brings_the_network_namespace() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        asking = asyncio.ensure_future(shim.query())
        assert await peer.heard() == Query(1)
        with open("/proc/self/ns/net") as namespace:
            peer.say(State(1, 42, 7, {"e": 43}), namespace.fileno())
        state, descriptor = await asking
        assert state == State(1, 42, 7, {"e": 43}) and descriptor is not None
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)

    with_shim(body)


def test_a_peer_that_goes_fails_what_is_asked() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        asking = [asyncio.ensure_future(shim.signal(15)), asyncio.ensure_future(shim.exec("e", None, None))]
        ending = asyncio.ensure_future(shim.exec_exit("e"))
        await peer.heard()
        peer.go()
        for request in asking:
            with pytest.raises(Conflict, match=NOT_RUNNING):
                await request
        assert await ending == 137 and await shim.exec_exit("another") == 137
        assert await shim.exited is None

    with_shim(body)


def test_an_exit_fails_what_is_asked() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        asking = asyncio.ensure_future(shim.signal(15))
        await peer.heard()
        peer.say(Exited(0, False, 1))
        with pytest.raises(Conflict, match=NOT_RUNNING):
            await asking

    with_shim(body)


def test_a_peer_that_does_not_read_is_unavailable() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        with pytest.raises(Unavailable, match=f"the shim of container {ID} does not answer"):
            for _ in range(10_000):
                shim.configure([])

    with_shim(body)


def test_the_end_of_an_exec_is_told_to_all_who_wait_early_or_late() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        early = [asyncio.ensure_future(shim.exec_exit("e")) for _ in range(2)]
        await asyncio.sleep(0)
        early.pop().cancel()
        assert shim.exec_exit_code("e") is None
        peer.say(ExecExited("e", 5))
        assert await early[0] == 5 and await shim.exec_exit("e") == 5 and shim.exec_exit_code("e") == 5
        shim.forget_exec("e")
        assert shim.exec_exit_code("e") is None

    with_shim(body)


def test_a_caller_who_goes_away_leaves_nothing_behind() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        leaving = asyncio.ensure_future(shim.query())
        await peer.heard()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        with open("/proc/self/ns/net") as namespace:
            peer.say(State(1, 42, None, {}), namespace.fileno())
        asking = asyncio.ensure_future(shim.signal(1))
        assert await peer.heard() == Signal(2, None, 1, False)
        peer.say(Done(2, None))
        await asking

    with_shim(body)


def test_a_namespace_that_nobody_waits_for_is_closed() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        shim.created.cancel()
        with open("/proc/self/ns/net") as namespace:
            peer.say(Created(42), namespace.fileno())
        peer.say(Started(42, 1))
        assert (await shim.started).pid == 42

    with_shim(body)


@pytest.mark.parametrize("datagram", [b'["Novel",1]', b'["Started",1,2,3,4]', b'["Exited"]'])
def test_a_message_of_another_version_is_passed_over(datagram: bytes) -> None:
    """A shim that outlived a daemon of a newer version is no reason to take its container for dead."""

    async def body(shim: Shim, peer: Peer) -> None:
        peer.say_raw(datagram)
        peer.say(Detached("x"))
        peer.say(Started(1, 2))
        assert await shim.started == Started(1, 2) and shim.alive

    with_shim(body)


def test_a_datagram_that_is_no_message_ends_the_connection() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        peer.say_raw(b"\xff{")
        assert await shim.exited is None

    with_shim(body)


def test_closing_twice_is_closing_once() -> None:
    async def body(shim: Shim, peer: Peer) -> None:
        shim.close()
        shim.close()
        with pytest.raises((Conflict, Unavailable)):
            await shim.signal(15)

    with_shim(body)


def test_a_shim_is_found_again_however_long_its_path_is(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    directory.mkdir()

    async def run() -> None:
        with pytest.raises(NotFound, match=f"no shim of container {ID}"):
            await adopt(ID, directory)
        with pytest.raises(NotFound, match=f"no shim of container {ID}"):
            await adopt(ID, tmp_path / "none")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            descriptor = os.open(directory, os.O_PATH)
            listener.bind(f"/proc/self/fd/{descriptor}/{SOCKET_NAME}")
            os.close(descriptor)
            listener.listen()
            shim = await adopt(ID, directory)
            peer = Peer(listener.accept()[0])
            asking = asyncio.ensure_future(shim.query())
            assert await peer.heard() == Query(1)
            peer.say(State(1, 1, 1, {}))
            assert await asking == (State(1, 1, 1, {}), None)
            peer.go()
            assert await shim.exited is None

    asyncio.run(run())


@pytest.mark.parametrize(
    ("keys", "fits"),
    [("", True), ("a", True), ("ctrl-a,b", True), ("ctrl-@", True), ("ctrl-P", True), ("ctrl-1", False), ("ab", False)],
)
def test_detach_keys(keys: str, fits: bool) -> None:
    if fits:
        made = streams.attachment(stdin=True, stdout=True, stderr=True, detach_keys=keys)
        assert made["detach_keys"] == (keys or "ctrl-p,ctrl-q")
        return
    with pytest.raises(Exception, match=rf"Invalid detach keys \({keys}\) provided$"):
        streams.attachment(stdin=True, stdout=True, stderr=True, detach_keys=keys)
