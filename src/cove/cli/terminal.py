"""The user's terminal: whether there is one, its size, raw mode, and the keys that detach from it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

STDIN, STDOUT, STDERR = 0, 1, 2
DEFAULT_KEYS = b"\x10\x11"

_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def size(fd: int = STDOUT) -> tuple[int, int]:
    """Rows and columns; noughts when it is not a terminal."""
    try:
        found = os.get_terminal_size(fd)
    except OSError:
        return 0, 0
    return found.lines, found.columns


class RawMode:
    """A context in which the terminal passes every key on. Nothing happens when ``fd`` is not a terminal."""

    def __init__(self, fd: int = STDIN) -> None:
        self.fd = fd
        self._saved: list[Any] | None = None

    def __enter__(self) -> RawMode:
        if is_terminal(self.fd):
            import termios
            import tty

            self._saved = termios.tcgetattr(self.fd)
            tty.setraw(self.fd, termios.TCSANOW)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def restore(self) -> None:
        if self._saved is not None:
            import termios

            termios.tcsetattr(self.fd, termios.TCSANOW, self._saved)
            self._saved = None


def parse_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` or ``a,b`` as the bytes the terminal sends. Raises ValueError."""
    keys = bytearray()
    for part in text.split(","):
        if len(part) == 1:
            keys += part.encode()
        elif part.startswith("ctrl-") and len(part) == 6:
            letter = part[5].lower()
            if not ("a" <= letter <= "z" or letter in _CONTROL):
                raise ValueError(f"Unknown character: '{part}'")
            keys.append(_CONTROL[letter] if letter in _CONTROL else ord(letter) - ord("a") + 1)
        else:
            raise ValueError(f"Unknown character: '{part}'")
    return bytes(keys)


class EscapeKeys:
    """Finds the detach sequence in what is typed; a beginning of it is held back until it is decided."""

    def __init__(self, keys: bytes) -> None:
        self.keys = keys
        self._held = 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What to send on, and whether the user has asked to detach."""
        out = bytearray()
        for key in typed:
            if self.keys and key == self.keys[self._held]:
                self._held += 1
                if self._held == len(self.keys):
                    return bytes(out), True
                continue
            out += self.keys[: self._held]
            self._held = 1 if self.keys and key == self.keys[0] else 0
            if not self._held:
                out.append(key)
        return bytes(out), False
