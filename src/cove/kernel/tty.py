"""Pseudo-terminals: allocation from one devpts, the controlling terminal, size and modes."""

import fcntl
import os
import struct
import termios

_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441


def open_pair(ptmx: int) -> int:
    """The other side of a master that was opened from a devpts' ``ptmx``, as a close-on-exec descriptor.

    The side is opened through the master (TIOCGPTPEER), never by its path, which a container could change.
    """
    fcntl.ioctl(ptmx, _TIOCSPTLCK, struct.pack("i", 0))
    return fcntl.ioctl(ptmx, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def make_controlling(descriptor: int) -> None:
    """Make it the controlling terminal of this session leader, which must have none."""
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def set_window_size(descriptor: int, rows: int, columns: int) -> None:
    """In characters. The terminal's foreground processes get SIGWINCH when it changes."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0))


def window_size(descriptor: int) -> tuple[int, int]:
    """Rows and columns."""
    rows, columns, _x, _y = struct.unpack("HHHH", fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns


def set_raw(descriptor: int) -> list[int | list[bytes | int]]:
    """Pass every byte through unchanged. Returns the former modes, for ``restore``."""
    former = termios.tcgetattr(descriptor)
    modes = termios.tcgetattr(descriptor)
    modes[0] &= ~(
        termios.IGNBRK
        | termios.BRKINT
        | termios.PARMRK
        | termios.ISTRIP
        | termios.INLCR
        | termios.IGNCR
        | termios.ICRNL
        | termios.IXON
    )
    modes[1] &= ~termios.OPOST
    modes[2] = (modes[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
    modes[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    modes[6][termios.VMIN] = 1
    modes[6][termios.VTIME] = 0
    termios.tcsetattr(descriptor, termios.TCSANOW, modes)
    return former


def restore(descriptor: int, modes: list[int | list[bytes | int]]) -> None:
    """Put back what ``set_raw`` returned."""
    termios.tcsetattr(descriptor, termios.TCSANOW, modes)
