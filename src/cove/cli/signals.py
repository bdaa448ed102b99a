"""Signals while a container is attached: passed on to it, or to the size of its terminal."""

from __future__ import annotations

import os
import signal

from cove.cli.failure import Failure
from cove.cli.terminal import STDOUT, size
from cove.errors import CoveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from cove.client.api import Client

_PROXIED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGTERM,
    signal.SIGCONT,
    signal.SIGTSTP,
)
FORCED = 3


class Signals:
    """A context in which signals arrive on a pipe (``fileno``) and ``deliver`` acts on them.

    ``kill`` is the path that takes a signal, ``resize`` the one that takes a terminal's size; None leaves it out.
    """

    def __init__(self, client: Client, kill: str | None, resize: str | None) -> None:
        self.client = client
        self.kill = kill
        self.resize = resize
        self._read = self._write = -1
        self._before: dict[int, Any] = {}
        self._stops = 0

    def __enter__(self) -> Signals:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        wanted = [*(_PROXIED if self.kill else ()), *((signal.SIGWINCH,) if self.resize else ())]
        for number in wanted:
            self._before[number] = signal.signal(number, _noted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        return self._read

    def deliver(self) -> None:
        """Act on the signals that have come."""
        try:
            arrived = os.read(self._read, 512)
        except BlockingIOError:
            return
        for number in arrived:
            if number == signal.SIGWINCH:
                self.resize_now()
            elif number in self._before:
                self._pass_on(number)

    def resize_now(self) -> None:
        """Give the container's terminal the size of ours, if we have one."""
        rows, columns = size(STDOUT)
        if rows or columns:
            self.resize_to(rows, columns)

    def resize_to(self, rows: int, columns: int) -> None:
        if self.resize:
            self._post(self.resize, {"h": rows, "w": columns})

    def _pass_on(self, number: int) -> None:
        if number in (signal.SIGINT, signal.SIGTERM):
            self._stops += 1
            if self._stops >= FORCED:
                raise Failure(f"got {FORCED} SIGTERM/SIGINTs, forcefully exiting")
        if self.kill:
            self._post(self.kill, {"signal": signal.Signals(number).name.removeprefix("SIG")})

    def _post(self, path: str, query: dict[str, Any]) -> None:
        try:
            self.client.json("POST", path, query)
        except CoveError:
            # It may not have started yet, or be gone already: the exit code will tell.
            return


def _noted(number: int, frame: object) -> None:
    """The wake-up pipe has it; nothing is done in the handler."""
