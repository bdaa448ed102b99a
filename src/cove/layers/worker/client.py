"""coved's end of the unpacking worker."""

import asyncio
import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from cove.errors import Internal
from cove.layers.worker.jobs import CONTROL, LOCK, Failed, Job, Progress, Reply

PIPE_SIZE = 1 << 20
READ_SIZE = 1 << 18
MAX_REPLY = 1 << 26
T = TypeVar("T")
_DECODE = msgspec.json.Decoder(Reply).decode


class Worker:
    """A warm interpreter that forks a child per job; started at the first one, ended after a minute without any."""

    def __init__(self, lock: Path | None = None, idle_seconds: float = 60.0) -> None:
        """``lock``: a file that is locked as long as a worker or a child of it lives, see ``wait_for_workers``."""
        self._lock = lock
        self._idle_seconds = idle_seconds
        self._pid = 0
        self._control: socket.socket | None = None
        self._active = 0
        self._idle: asyncio.TimerHandle | None = None
        self._reaps: set[asyncio.Task[None]] = set()

    async def run(
        self,
        job: Job,
        kind: type[T],
        source: int | None = None,
        progress: Callable[[int], None] = lambda read: None,
        namespace: int | None = None,
    ) -> T:
        """Do a job in a child of the worker. ``kind``: the reply that it has. ``source``: the input or output, closed
        by the caller once this has begun, as is ``namespace``, of a job with a view. ``progress`` is told the bytes
        read.

        Raises InvalidArgument when the input is to blame, else Internal. When it is cancelled, the child is gone
        before this returns.
        """
        self._begin()
        try:
            reply = await self._send(job, [fd for fd in (source, namespace) if fd is not None])
            try:
                return await _answer(reply, kind, progress)
            finally:
                await asyncio.shield(_end(reply))
        finally:
            self._finish()

    async def run_stream(
        self,
        job: Job,
        kind: type[T],
        chunks: AsyncIterator[bytes],
        progress: Callable[[int], None] = lambda read: None,
        namespace: int | None = None,
    ) -> T:
        """As ``run``, the input being a stream of chunks, which is left where it is when the job fails."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(writing, False)
        with contextlib.suppress(OSError):  # more than this user may have in all pipes
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        work = asyncio.ensure_future(self._run_closing(job, kind, reading, progress, namespace))
        try:
            await _feed(chunks, writing, work)
            return await work
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def output(self, job: Job, kind: type[T], namespace: int | None = None) -> AsyncGenerator[bytes, None]:
        """What a job writes, no faster than it is taken. Raises as ``run`` does, at the end; close it to give up."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reading, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        work = asyncio.ensure_future(self._run_closing(job, kind, writing, lambda read: None, namespace))
        try:
            async for chunk in _drained(reading):
                yield chunk
            await work
        finally:
            os.close(reading)
            work.cancel()
            await asyncio.wait([work])

    async def close(self) -> None:
        """End the worker and every job that is under way."""
        self._stop()
        if self._reaps:
            await asyncio.wait(self._reaps)

    async def _run_closing(
        self, job: Job, kind: type[T], source: int, progress: Callable[[int], None], namespace: int | None
    ) -> T:
        try:
            return await self.run(job, kind, source, progress, namespace)
        finally:
            os.close(source)

    def _begin(self) -> None:
        self._active += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _finish(self) -> None:
        self._active -= 1
        if self._active == 0 and self._control is not None:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._stop)

    async def _send(self, job: Job, others: list[int]) -> socket.socket:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                await self._deliver(msgspec.json.encode(job), [theirs.fileno(), *others])
        except BaseException:
            ours.close()
            raise
        ours.setblocking(False)
        return ours

    async def _deliver(self, message: bytes, descriptors: list[int]) -> None:
        for attempt in range(2):
            control = await self._ready()
            try:
                socket.send_fds(control, [message], descriptors)
                return
            except (BrokenPipeError, ConnectionResetError):  # it died since the last job
                self._stop()
                if attempt:
                    raise Internal("the unpacking worker does not stay alive") from None

    async def _ready(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._pid = _spawn(theirs.fileno(), self._lock)
        return self._control

    def _stop(self) -> None:
        self._idle = None
        if self._control is None:
            return
        self._control.close()
        self._control = None
        reap = asyncio.ensure_future(asyncio.to_thread(_reap, self._pid))
        self._reaps.add(reap)
        reap.add_done_callback(self._reaps.discard)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # the daemon may have its own way with children
        os.waitpid(pid, 0)


def wait_for_workers(lock: Path) -> None:
    """Wait until the workers that a daemon left behind are gone, which they are as soon as they notice its end.

    What they write later, nobody would look for.
    """
    file = _opened(lock)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    finally:
        os.close(file)


def _opened(lock: Path) -> int:
    return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _spawn(control: int, lock: Path | None) -> int:
    command = [sys.executable, "-I", "-m", "cove.layers.worker.process"]
    actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, control, CONTROL),
    ]
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    with contextlib.ExitStack() as opened:
        if lock is not None:
            file = _opened(lock)
            opened.callback(os.close, file)
            fcntl.flock(file, fcntl.LOCK_SH)
            actions.append((os.POSIX_SPAWN_DUP2, file, LOCK))
        return os.posix_spawn(sys.executable, command, environment, file_actions=actions, setsid=True)


async def _answer(reply: socket.socket, kind: type[T], progress: Callable[[int], None]) -> T:
    loop, pending = asyncio.get_running_loop(), bytearray()
    while piece := await loop.sock_recv(reply, 1 << 16):
        pending += piece
        if len(pending) > MAX_REPLY:
            raise Internal("the unpacking worker says too much")
        *lines, pending = pending.split(b"\n")
        for line in lines:
            message = _DECODE(line)
            if isinstance(message, Progress):
                progress(message.read)
            elif isinstance(message, Failed):
                raise message.error()
            elif isinstance(message, kind):
                return message
    raise Internal("the unpacking worker died")


async def _end(reply: socket.socket) -> None:
    """Tell the child to go, if it has not yet, and wait until it is gone."""
    loop = asyncio.get_running_loop()
    with reply, contextlib.suppress(OSError):
        reply.shutdown(socket.SHUT_WR)
        while await loop.sock_recv(reply, 1 << 16):
            pass


async def _feed(chunks: AsyncIterator[bytes], pipe: int, work: asyncio.Future[T]) -> None:
    """Write the chunks to the pipe and close it; end early when nobody reads any more."""
    try:
        async for chunk in chunks:
            view = memoryview(chunk)
            while view:
                try:
                    view = view[os.write(pipe, view) :]
                except BlockingIOError:
                    await _writable(pipe)
            if work.done():
                return
    except BrokenPipeError:
        return
    finally:
        os.close(pipe)


async def _drained(pipe: int) -> AsyncIterator[bytes]:
    """What comes out of the pipe, to its end."""
    while True:
        try:
            chunk = os.read(pipe, READ_SIZE)
        except BlockingIOError:
            await _ready(pipe)
            continue
        if not chunk:
            return
        yield chunk


async def _ready(pipe: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(pipe, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(pipe)


async def _writable(pipe: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(pipe, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(pipe)
