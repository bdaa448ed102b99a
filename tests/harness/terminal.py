"""A client on a terminal of its own: what a person at a keyboard sees and types."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence


class Terminal:
    """The master side of a pseudo-terminal that a process has as its controlling one."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self._process = process
        self._master = master
        self.seen = ""

    def expect(self, text: str, seconds: float = 15) -> None:
        """Read until ``text`` appears after what was expected before. Raises AssertionError with what came instead."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not appear, only {self.seen!r}"
            assert self._read(), f"the terminal closed before {text!r}, after {self.seen!r}"
        self.seen = self.seen.split(text, 1)[1]

    def shows(self, text: str, seconds: float = 0.2) -> bool:
        """Whether ``text`` appears within a moment."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if ready:
            self._read()
        return text in self.seen

    def send(self, text: str) -> None:
        """Type ``text``; "\\r" is the return key."""
        os.write(self._master, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        set_size(self._master, rows, columns)

    def wait(self, seconds: float = 15) -> int:
        """Read to the end and return the process's exit code."""
        deadline = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the process goes on, after {self.seen!r}"
            if not self._read():
                return self._process.wait(seconds)

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: the last descriptor of the other side was closed
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)


def set_size(descriptor: int, rows: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextlib.contextmanager
def on_terminal(
    argv: Sequence[str], environment: dict[str, str], rows: int = 24, columns: int = 80
) -> Iterator[Terminal]:
    """Run ``argv`` on a new terminal; killed at the end if it still runs."""
    master, slave = pty.openpty()
    set_size(slave, rows, columns)
    process = subprocess.Popen(
        argv,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    with process:
        try:
            yield Terminal(process, master)
        finally:
            process.kill()
            os.close(master)
