"""The classic stream of a build: ``Step 1/3 : FROM …``, one step after the other, whatever runs at the same time."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cove.build.planning.graph import CopyFiles, Vertex
from cove.build.planning.recipe import Step
from cove.build.progress.progress import Checked, Event, Failed, Logged, Noted, Planned, Started, Stepped
from cove.dockerfile.checks import Finding, counted

MOST_LOG = 2 << 20
"""Bytes of output that are kept of a step whose turn has not come."""
_CLIPPED = b"\n[output clipped, log limit 2MiB reached]\n"
_RED, _PLAIN = b"\x1b[91m", b"\x1b[0m"


@dataclass
class _Kept:
    """What a vertex has told before its turn."""

    container: str = ""
    output: bytearray = field(default_factory=bytearray)
    clipped: bool = False

    def take(self, data: bytes) -> None:
        if self.clipped:
            return
        self.output += data
        if len(self.output) > MOST_LOG:
            self.output += _CLIPPED
            self.clipped = True


class ClassicStream:
    """Give it every event with ``take``; what it gives back is to be shown, in order. ``removes``: see ``--rm``."""

    def __init__(self, *, removes: bool = True, force_removes: bool = False) -> None:
        self._removes = removes
        self._force_removes = force_removes
        self._order: list[tuple[str, Step | None]] = []
        self._at = 0
        self._total = 0
        self._kept: dict[Vertex, _Kept] = {}
        self._announced = False
        self._findings: tuple[Finding, ...] = ()

    def take(self, event: Event) -> Iterator[bytes]:
        """The text that an event makes."""
        match event:
            case Checked(findings):
                self._findings = findings
            case Planned(recipes):
                for recipe in recipes:
                    for stage in recipe.stages:
                        self._order.append((stage.title, None))
                        self._order += [(step.text, step) for step in stage.steps]
                self._total = len(self._order)
                yield from self._head()
            case Started(vertex, _, container):
                self._of(vertex).container = container
                yield from self._begun(vertex)
            case Logged(vertex, stream, data):
                yield from self._output(vertex, _RED + data + _PLAIN if stream == 2 else data)
            case Stepped(_, _, image, cached):
                yield from self._done(image, cached)
            case Failed(vertex):
                yield from self._failed(vertex)
            case Noted(_, status):
                yield f"{status}\n".encode() if status else b""

    def end(self) -> Iterator[bytes]:
        """What is said once nothing more happens, before how it went."""
        if self._findings:
            yield f"\n {counted(len(self._findings))}:\n".encode()
        for finding in self._findings:
            yield f" - {finding.line()}\n".encode()

    def _of(self, vertex: Vertex) -> _Kept:
        return self._kept.setdefault(vertex, _Kept())

    @property
    def _vertex(self) -> Vertex | None:
        """Whose turn it is."""
        step = self._order[self._at][1] if self._at < self._total else None
        return step.vertex if step is not None else None

    def _head(self) -> Iterator[bytes]:
        if self._at < self._total:
            self._announced = False
            yield f"Step {self._at + 1}/{self._total} : {self._order[self._at][0]}\n".encode()
            if self._vertex is not None and self._vertex in self._kept:
                yield from self._begun(self._vertex)

    def _begun(self, vertex: Vertex) -> Iterator[bytes]:
        if vertex is not self._vertex:
            return
        kept = self._of(vertex)
        if kept.container and not self._announced:
            self._announced = True
            yield f" ---> Running in {kept.container[:12]}\n".encode()
        if kept.output:
            yield bytes(kept.output)
            kept.output.clear()

    def _output(self, vertex: Vertex, data: bytes) -> Iterator[bytes]:
        if vertex is self._vertex:
            yield data
        else:
            self._of(vertex).take(data)

    def _done(self, image: str, cached: bool) -> Iterator[bytes]:
        step = self._order[self._at][1]
        kept = self._of(step.vertex) if step is not None and step.vertex is not None else _Kept()
        if cached:
            if step is not None:
                yield b" ---> Using cache\n"
        elif step is not None and not (step.vertex is not None and isinstance(step.vertex.operation, CopyFiles)):
            container = kept.container or image.removeprefix("sha256:")
            if not kept.container:
                yield f" ---> Running in {container[:12]}\n".encode()
            if self._removes:
                yield f"Removing intermediate container {container[:12]}\n".encode()
        yield f" ---> {image.removeprefix('sha256:')[:12]}\n".encode()
        self._at += 1
        yield from self._head()

    def _failed(self, vertex: Vertex) -> Iterator[bytes]:
        kept = self._of(vertex)
        if vertex is not self._vertex and kept.output:
            yield bytes(kept.output)
        if self._force_removes and kept.container:
            yield f"Removing intermediate container {kept.container[:12]}\n".encode()
