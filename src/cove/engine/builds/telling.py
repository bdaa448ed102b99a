"""The lines of the answer to ``POST /build``: what events of a build make for the stock client, and for ours."""

from collections.abc import Iterable
from typing import Protocol

from cove.build.progress.classic import ClassicStream
from cove.build.progress.progress import Event
from cove.build.progress.solve_status import SolveStatus
from cove.wire.builds import BuildOptions
from cove.wire.images import Progress

EVENT = "cove.build"
"""The id of lines that our client asks for; what they say is in ``aux``."""


class Telling(Protocol):
    """What a client is told while a build goes on."""

    def take(self, event: Event) -> Iterable[Progress]:
        """The lines that an event makes."""

    def end(self) -> Iterable[Progress]:
        """The lines that come when nothing more happens, before the build's result."""


def telling(options: BuildOptions) -> Telling:
    """What the client of a build wants to be told."""
    return _Events() if options.events else _Classic(options)


class _Classic:
    """For the stock client."""

    def __init__(self, options: BuildOptions) -> None:
        self._stream = ClassicStream(removes=options.remove, force_removes=options.force_remove)
        self._quiet = options.quiet

    def take(self, event: Event) -> Iterable[Progress]:
        return self._lines(self._stream.take(event))

    def end(self) -> Iterable[Progress]:
        return self._lines(self._stream.end())

    def _lines(self, texts: Iterable[bytes]) -> Iterable[Progress]:
        return [Progress(stream=text.decode("utf-8", "replace")) for text in texts if text and not self._quiet]


class _Events:
    """For ours."""

    def __init__(self) -> None:
        self._status = SolveStatus()

    def take(self, event: Event) -> Iterable[Progress]:
        told = self._status.of(event)
        return [Progress(id=EVENT, aux=told)] if told is not None else []

    def end(self) -> Iterable[Progress]:
        return []
