"""The standard streams of a container or of an exec: the program on one side, the log and the clients on the other.

Without a terminal there is a pipe for each stream; with one, its master arrives when the program's side has made it.
A client that is attached before the program runs misses nothing: its output waits in the pipe or terminal until then.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Protocol

from cove.kernel import tty
from cove.runtime import messages
from cove.runtime.attachments import STDERR, STDOUT, Attachment
from cove.runtime.loop import Loop
from cove.runtime.pumps import Input, Output

STALLED = 10.0
"""Seconds without progress after which the rest of an ended program's output is given up."""

_NAMES = {STDOUT: "stdout", STDERR: "stderr"}


class Log(Protocol):
    @property
    def full(self) -> bool:
        """Whether the program has to wait before it writes more."""

    def border(self) -> tuple[int, dict[str, bytes]]:
        """A time between what is in the log and what will be, and what was written and waits for its line's end."""

    def write(self, stream: str, data: bytes) -> None:
        """Keep ``data`` of ``stdout`` or ``stderr``."""


class Streams:
    """``stdin_once``: standard input ends with the first client that fed it (Docker's StdinOnce)."""

    def __init__(
        self,
        loop: Loop,
        log: Log | None,
        *,
        terminal: bool,
        stdin: bool,
        stdin_once: bool,
        on_detached: Callable[[str], None],
    ) -> None:
        self.terminal = terminal
        self.input: Input | None = None
        self._loop = loop
        self._log = log
        self._stdin = stdin
        self._stdin_once = stdin_once
        self._on_detached = on_detached
        self._outputs: list[Output] = []
        self._attachments: list[Attachment] = []
        self._size: tuple[int, int] | None = None
        self._console: tuple[int, int] | None = None
        self._finished: Callable[[], None] | None = None
        self._told = False

    def attach(self, stream: int, wish: messages.Attachment) -> int | None:
        """Add a client; ``stream`` is its socket, taken over. Raises BadKeys.

        Returns the time up to which the log has what came before, for one that goes on after it (see Done).
        """
        wish = {**wish, "stdin": wish["stdin"] and self._stdin}
        attachment = Attachment(self._loop, stream, wish, self.terminal, self)
        self._attachments.append(attachment)
        return self._show_unfinished(attachment) if wish.get("after_log") and self._log is not None else None

    def _show_unfinished(self, attachment: Attachment) -> int:
        """Send the lines that are not whole yet, and so will be in the log after what follows them here."""
        assert self._log is not None
        border, unfinished = self._log.border()
        for number, name in _NAMES.items():
            if name in unfinished and attachment.shows(number):
                attachment.show(number, unfinished[name])
        return border

    def pipes(self, stdout: bool = True, stderr: bool = True) -> list[int]:
        """Make the pipes. Returns the program's three ends, to be closed after the fork; /dev/null where unwanted."""
        return [self._stdin_pipe(), self._output_pipe(STDOUT, stdout), self._output_pipe(STDERR, stderr)]

    def console(self, master: int) -> None:
        """The program's terminal is made; ``master`` is taken over."""
        # As long as this end is open, a program that closes the terminal and opens it again is not a hang-up.
        self._console = (os.dup(master), tty.open_pair(master))
        if self._size is not None:
            tty.set_window_size(master, *self._size)
        if self._stdin:
            self.input = Input(self._loop, os.dup(master), self._resume_clients)
        self._outputs.append(Output(self._loop, master, partial(self._take, STDOUT)))
        self._resume_clients()

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal a size, in characters, now or as soon as there is one."""
        self._size = (rows, columns)
        if self._console is not None:
            tty.set_window_size(self._console[0], rows, columns)

    @property
    def drained(self) -> bool:
        """Whether no process can write any more and all was read."""
        return self.terminal or all(output.ended for output in self._outputs)

    def drain(self) -> None:
        """Read what the program has left in its pipes or terminal, even past a client's bound."""
        for output in self._outputs:
            output.drain()

    @property
    def attached(self) -> bool:
        """Whether there is a client."""
        return bool(self._attachments)

    @property
    def finishing(self) -> bool:
        return self._finished is not None

    def finish(self, done: Callable[[], None]) -> None:
        """The program has ended: read the rest, and call ``done`` once every client has got it and is closed.

        A client that takes nothing for ``STALLED`` seconds is closed without the rest.
        """
        self.drain()
        self._close_program_side()
        self._finished = done
        for attachment in self._attachments.copy():
            attachment.finish()
        if self._attachments:
            self._loop.later(STALLED, self._drop_stalled)
        self._tell_if_finished()

    def abandon(self) -> None:
        """Close everything now."""
        self._close_program_side()
        for attachment in self._attachments.copy():
            attachment.close()

    def half_closed(self, attachment: Attachment) -> None:
        """A client's end of input ends the program's (StdinOnce), or else, as in Docker, that client's attachment.

        At a terminal it means nothing: an end of file is typed there.
        """
        if self.terminal:
            return
        if self._stdin_once and self.input is not None:
            self.input.close_when_written()
        else:
            attachment.finish()

    def ended(self, attachment: Attachment, detached: bool) -> None:
        self._attachments.remove(attachment)
        if attachment.feeds and self._stdin_once and not self.terminal and self.input is not None:
            self.input.close_when_written()
        if detached:
            self._on_detached(attachment.attach_id)
        self.has_room()
        self._tell_if_finished()

    def has_room(self) -> None:
        if not self._log_full and not any(attachment.full for attachment in self._attachments):
            for output in self._outputs:
                output.resume()

    def _stdin_pipe(self) -> int:
        if not self._stdin:
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        theirs, ours = os.pipe2(os.O_CLOEXEC)
        self.input = Input(self._loop, ours, self._resume_clients)
        self._resume_clients()
        return theirs

    def _output_pipe(self, stream: int, wanted: bool) -> int:
        if not wanted:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        self._outputs.append(Output(self._loop, ours, partial(self._take, stream)))
        return theirs

    def _take(self, stream: int, data: bytes) -> bool:
        if self._log is not None:
            self._log.write(_NAMES[stream], data)
        audience = [attachment for attachment in self._attachments if attachment.shows(stream)]
        for attachment in audience:
            attachment.show(stream, data)
        return not self._log_full and not any(attachment.full for attachment in audience)

    @property
    def _log_full(self) -> bool:
        return self._log is not None and self._log.full

    def _resume_clients(self) -> None:
        for attachment in self._attachments.copy():
            attachment.resume_input()

    def _close_program_side(self) -> None:
        for output in self._outputs:
            output.close()
        if self.input is not None:
            self.input.close()
        for fd in self._console or ():
            os.close(fd)
        self._console = None

    def _drop_stalled(self) -> None:
        for attachment in self._attachments.copy():
            if not attachment.moved:
                attachment.close()
        if self._attachments:
            self._loop.later(STALLED, self._drop_stalled)

    def _tell_if_finished(self) -> None:
        if self._finished is not None and not self._told and not self._attachments:
            self._told = True
            self._finished()
