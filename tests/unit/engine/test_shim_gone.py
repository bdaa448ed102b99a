"""The last words of a shim that went without reading the daemon's last request."""

import asyncio
import socket

import pytest

from cove.engine.lifecycle.shims import Shim
from cove.errors import Conflict, Unavailable
from cove.runtime import messages
from cove.runtime.messages import Exited


def test_exited_is_heard_though_a_request_was_left_unread() -> None:
    async def scene() -> Exited | None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        shim = Shim("c0ffee", ours)
        request = asyncio.ensure_future(shim.resize(None, 24, 80))
        await asyncio.sleep(0)  # it is sent, and lies in the peer's queue
        messages.send(theirs, Exited(77, False, 1))
        theirs.close()
        exited = await shim.exited
        assert isinstance((await asyncio.gather(request, return_exceptions=True))[0], Conflict)
        return exited

    assert asyncio.run(scene()) == Exited(77, False, 1)


def test_a_request_is_answered_though_the_daemon_lets_go_of_the_shim() -> None:
    async def scene() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            shim = Shim("c0ffee", ours)
            request = asyncio.ensure_future(shim.resize(None, 24, 80))
            await asyncio.sleep(0)
            shim.close()
            with pytest.raises(Unavailable, match="let go"):
                await asyncio.wait_for(request, 5)

    asyncio.run(scene())
