"""Moves bytes between a client that gave up HTTP and a program's streams.

The client's side is aiohttp's transport (it may be TLS). The stream's side is a bare socket with readiness callbacks:
asyncio's transport, once it cannot write, gives up reading as well, and output is what must not be lost.
"""

import asyncio
import select
import socket
from collections import deque

READ = 64 << 10
"""Bytes of output taken at a time."""

HIGH_WATER = 256 << 10
"""Bytes of input held for a program that does not read, before the client is held."""

LINGER = 2.0
"""Seconds for the client to close after the end of output. Closing first could cost it the last bytes."""


class Pump:
    """A takeover of a connection (see ``connection``): each way has back-pressure and an end of its own.

    Input is taken as soon as the connection is taken over; output from ``run`` on. The caller closes the stream.
    """

    def __init__(self, stream: socket.socket) -> None:
        stream.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._client: asyncio.Transport | None = None
        self._input: deque[memoryview] = deque()
        self._held = 0
        self._input_ended = False
        self._input_refused = False
        self._output_ended = False
        self._running = False
        self._full = False
        self._lingering: asyncio.TimerHandle | None = None
        self._hang_up: select.epoll | None = None
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        """Until output has ended and the client has it, or the client is gone."""
        self._running = True
        self._watch_output()
        try:
            await self._done
        finally:
            self._running = False
            self._loop.remove_reader(self._stream)
            self._loop.remove_writer(self._stream)
            if self._lingering is not None:
                self._lingering.cancel()
            self._forget_hang_up()

    # The client's side

    def client_ready(self, client: asyncio.Transport) -> None:
        self._client = client

    def client_data(self, data: bytes) -> None:
        if self._input_refused or self._output_ended:
            return
        view = memoryview(data)
        if not self._input:
            view = self._send(view)
        if view:
            self._hold(view)

    def client_eof(self) -> None:
        self._input_ended = True
        if self._output_ended:
            self._finish()
        elif not self._input:
            self._end_input()

    def client_lost(self) -> None:
        self._client = None
        self._finish()

    def _watch_hang_up(self) -> None:
        """Notice that a client which sends no more is gone, though there is no output to fail.

        A socket at its end of input is readable for ever, so it is watched by an epoll for nothing but a hang-up.
        """
        if self._client is None or self._done.done() or self._hang_up is not None:
            return
        self._hang_up = select.epoll()
        self._hang_up.register(self._client.get_extra_info("socket").fileno(), 0)
        self._loop.add_reader(self._hang_up, self.client_lost)

    def _forget_hang_up(self) -> None:
        if self._hang_up is not None:
            self._loop.remove_reader(self._hang_up)
            self._hang_up.close()
            self._hang_up = None

    def client_full(self) -> None:
        self._full = True
        self._loop.remove_reader(self._stream)

    def client_drained(self) -> None:
        self._full = False
        self._watch_output()

    # The stream's side

    def _watch_output(self) -> None:
        if self._running and not self._full and not self._output_ended:
            self._loop.add_reader(self._stream, self._output_ready)

    def _output_ready(self) -> None:
        try:
            data = self._stream.recv(READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data and self._client is not None:
            self._client.write(data)
        else:
            self._end_output()

    def _end_output(self) -> None:
        self._output_ended = True
        self._loop.remove_reader(self._stream)
        self._drop_input()
        client = self._client
        if self._input_ended or client is None or client.is_closing() or not client.can_write_eof():
            self._finish()
            return
        client.write_eof()
        self._lingering = self._loop.call_later(LINGER, self._finish)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _send(self, view: memoryview) -> memoryview:
        """Send what can be sent now; returns the rest."""
        try:
            return view[self._stream.send(view) :]
        except (BlockingIOError, InterruptedError):
            return view
        except OSError:
            self._input_refused = True
            return view[:0]

    def _hold(self, view: memoryview) -> None:
        if not self._input:
            self._loop.add_writer(self._stream, self._input_ready)
        self._input.append(view)
        self._held += len(view)
        if self._held > HIGH_WATER and self._client is not None:
            self._client.pause_reading()

    def _input_ready(self) -> None:
        view = self._input[0]
        rest = self._send(view)
        self._held -= len(view) - len(rest)
        if self._input_refused:
            self._drop_input()
        elif rest:
            self._input[0] = rest
        else:
            self._input.popleft()
        if not self._input:
            self._input_drained()

    def _input_drained(self) -> None:
        self._loop.remove_writer(self._stream)
        if self._client is not None:
            self._client.resume_reading()
        if self._input_ended and not self._input_refused:
            self._end_input()

    def _drop_input(self) -> None:
        self._input.clear()
        self._held = 0
        self._loop.remove_writer(self._stream)
        if self._client is not None and not self._client.is_closing():
            self._client.resume_reading()

    def _end_input(self) -> None:
        try:
            self._stream.shutdown(socket.SHUT_WR)
        except OSError:
            self._input_refused = True
        self._watch_hang_up()
