"""A call that stays until its process ends: signals go on to it, and so does what is typed at a terminal."""

import errno
import os
import select

from cove.kernel import tty
from cove.lean import signal, suppress

_NOT_FORWARDED = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGWINCH}
_CHUNK = 1 << 16


class Foreground:
    """``pid``: a child, or an adopted one. ``console``: the master of its terminal, or -1."""

    def __init__(self, pid: int, console: int) -> None:
        """From here on signals are kept for ``run``."""
        self._pid = pid
        self._console = console
        self._input = 0
        self._code: int | None = None
        self._wakeup, self._signalled = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for number in signal.valid_signals() - _NOT_FORWARDED | {signal.SIGCHLD, signal.SIGWINCH}:
            with suppress(OSError, ValueError):
                signal.signal(number, self._forward)
        signal.set_wakeup_fd(self._signalled, warn_on_full_buffer=False)

    def run(self) -> int:
        """Stay until the process has ended; its exit code, or 128 + the signal that killed it."""
        former = self._prepare_terminal()
        try:
            self._reap()
            while self._code is None:
                self._turn()
            self._read_rest()
        finally:
            if former is not None:
                tty.restore(0, former)
        return self._code

    def _prepare_terminal(self) -> list[int | list[bytes | int]] | None:
        if self._console < 0:
            return None
        os.set_blocking(self._console, True)
        if not os.isatty(0):
            return None
        self._resize()
        return tty.set_raw(0)

    def _forward(self, number: int, _frame: object) -> None:
        if number == signal.SIGWINCH:
            self._resize()
        elif number != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def _resize(self) -> None:
        if self._console >= 0:
            with suppress(OSError):
                tty.set_window_size(self._console, *tty.window_size(0))

    def _turn(self) -> None:
        watched = [self._wakeup]
        if self._console >= 0:
            watched += [self._console, *([self._input] if self._input >= 0 else [])]
        ready, _, _ = select.select(watched, [], [])
        if self._wakeup in ready:
            os.read(self._wakeup, _CHUNK)
            self._reap()
        if self._console in ready:
            self._show()
        if self._input in ready and self._console >= 0:
            self._type()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                if self._code is None:
                    self._code = 255  # somebody else has waited for it
                return
            if pid == 0:
                return
            if pid == self._pid:
                code = os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else 128 - code

    def _show(self) -> bool:
        try:
            data = os.read(self._console, _CHUNK)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            os.close(self._console)
            self._console = -1
            return False
        while data:
            data = data[os.write(1, data) :]
        return True

    def _type(self) -> None:
        data = os.read(self._input, _CHUNK)
        if not data:
            self._input = -1
            with suppress(OSError):
                os.write(self._console, b"\x04")
        while data:
            data = data[os.write(self._console, data) :]

    def _read_rest(self) -> None:
        while self._console >= 0 and select.select([self._console], [], [], 0)[0] and self._show():
            pass
