"""Solves a graph: every vertex once, as soon as its inputs are there, from the cache where that has it.

What does not depend on each other runs at the same time. When one fails, or the caller is cancelled, all that is under
way is cancelled and awaited before the error goes on.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from cove.build.cache.cache import Cache, Parts, Record
from cove.build.cache.explaining import UNUSED, reasons
from cove.build.planning.graph import CopyFiles, Given, LayerRef, Origin, Promised, Remote, Result, Root, Vertex
from cove.build.progress.progress import Explained, Failed, Finished, Listener, Logged, Started
from cove.build.solving.executors import Executors
from cove.build.solving.steps import StepLayers
from cove.errors import Cancelled, CoveError

Skips = Callable[[Vertex], bool]
"""Whether a vertex is to be built anew whatever the cache has."""


class Inflight:
    """Keys that some build is making at the moment, so that others wait for it; of all builds."""

    def __init__(self) -> None:
        self.locks: dict[str, asyncio.Lock] = {}

    def lock(self, key: str) -> asyncio.Lock:
        if len(self.locks) > 1000:
            self.locks = {known: lock for known, lock in self.locks.items() if lock.locked()}
        return self.locks.setdefault(key, asyncio.Lock())


class Solver:
    """One solution of one graph."""

    def __init__(
        self,
        executors: Executors,
        steps: StepLayers,
        cache: Cache,
        inflight: Inflight,
        listener: Listener,
        skips: Skips,
    ) -> None:
        self._executors = executors
        self._steps = steps
        self._cache = cache
        self._inflight = inflight
        self._listener = listener
        self._skips = skips
        self.records: dict[Vertex, str] = {}
        """The keys of the records that vertices were solved by."""
        self._ran: set[Vertex] = set()
        """Those that were carried out and changed no files."""
        self._tasks: dict[Vertex, asyncio.Task[Result]] = {}

    @property
    def results(self) -> dict[Vertex, Result]:
        """Of the vertices that are solved."""
        done = {vertex: task for vertex, task in self._tasks.items() if task.done() and not task.cancelled()}
        return {vertex: task.result() for vertex, task in done.items() if task.exception() is None}

    @property
    def origins(self) -> list[Origin]:
        """What steps have fetched."""
        return list(self._executors.remotes.origins.values())

    async def solve(self, vertices: Sequence[Vertex]) -> list[Result]:
        """The results, in order. Raises the first error."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [self._task(vertex, group) for vertex in vertices]
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        return [task.result() for task in tasks]

    def _task(self, vertex: Vertex, group: asyncio.TaskGroup) -> "asyncio.Task[Result]":
        todo = [vertex]
        while todo:
            current = todo[-1]
            missing = [other for other in current.inputs if other not in self._tasks]
            if current in self._tasks or not missing:
                todo.pop()
                if current not in self._tasks:
                    inputs = [self._tasks[other] for other in current.inputs]
                    self._tasks[current] = group.create_task(self._solved(current, inputs))
            else:
                todo += missing
        return self._tasks[vertex]

    async def _solved(self, vertex: Vertex, inputs: "list[asyncio.Task[Result]]") -> Result:
        if isinstance(vertex.operation, Given):
            return self._given(vertex, vertex.operation)
        if isinstance(vertex.operation, Remote):
            return await self._fetched(vertex, vertex.operation)
        try:
            results = [await asyncio.shield(task) for task in inputs]
        except asyncio.CancelledError:
            raise
        except CoveError:
            raise Cancelled("an input failed") from None
        try:
            return await self._step(vertex, results)
        except CoveError as error:
            self._listener(Failed(vertex, time.time_ns(), error.message))
            raise

    async def _fetched(self, vertex: Vertex, remote: Remote) -> Result:
        self._listener(Started(vertex, time.time_ns()))
        try:
            context = await self._executors.remotes.result(remote)
        except CoveError as error:
            self._listener(Failed(vertex, time.time_ns(), error.message))
            raise
        self._listener(Finished(vertex, time.time_ns(), context, cached=isinstance(context, Promised)))
        return context

    def _given(self, vertex: Vertex, given: Given) -> Result:
        if isinstance(given.result, Root):
            self._steps.present(given.result)
        if not vertex.internal:
            now = time.time_ns()
            self._listener(Started(vertex, now))
            self._listener(Finished(vertex, now, given.result, cached=True))
        return given.result

    async def _step(self, vertex: Vertex, inputs: list[Result]) -> Result:
        began = time.time_ns()
        parts = await self._executors.parts(vertex, inputs)
        async with self._inflight.lock(parts.key):
            record = None if self._skips(vertex) or self._repeats(vertex, parts.key) else self._found(parts)
            if record is not None:
                self._listener(Explained(vertex, True, ()))
                self._listener(Started(vertex, began))
                return self._finished(vertex, inputs, record, cached=True)
            self._listener(Explained(vertex, False, self._why(vertex, parts)))
            record = await self._built(vertex, inputs, parts)
        return self._finished(vertex, inputs, record, cached=False)

    def _why(self, vertex: Vertex, parts: Parts) -> tuple[str, ...]:
        """Why a step is not in the cache."""
        if self._skips(vertex):
            return (UNUSED,)
        nearest = self._cache.nearest(parts.parts, vertex.name)
        return reasons(parts, nearest, self._cache.listings, _single(vertex))

    def _repeats(self, vertex: Vertex, key: str) -> bool:
        """Whether a step right before, in this build, was the same and changed nothing: what it says is done again."""
        before = vertex.inputs[0]
        while before in self._ran:
            if self.records.get(before) == key:
                return True
            before = before.inputs[0]
        return False

    def _found(self, parts: Parts) -> Record | None:
        record = self._cache.find(parts.key)
        return record if record is not None and self._steps.present(record.root) else None

    async def _built(self, vertex: Vertex, inputs: list[Result], parts: Parts) -> Record:
        execution = _Execution(vertex, self._listener)
        layer = await self._executors.execute(vertex, inputs, execution)
        execution.begin()
        now = time.time_ns()
        below = () if _stands_alone(vertex) else _layers(inputs[0])
        record = Record(
            parts.key,
            "regular",
            vertex.name or vertex.instruction,
            now,
            now,
            parts=dict(parts.parts),
            listing=parts.listing,
            layers=[*below, *([layer] if layer else [])],
            own=layer is not None,
            base=parts.base,
        )
        await self._cache.add(record)
        if layer is None:
            self._ran.add(vertex)
        return record

    def _finished(self, vertex: Vertex, inputs: list[Result], record: Record, cached: bool) -> Result:
        """The result is over the input that this build has, whatever was below when the record was made."""
        self.records[vertex] = record.key
        layer = record.layer
        result = Root((*_layers(inputs[0]), *([layer] if layer else [])))
        files = record.parts.get("files", "")
        self._listener(Finished(vertex, time.time_ns(), result, cached, layer, record.created, files))
        return result


class _Execution:
    """Tells of a step's start when it begins to do something."""

    def __init__(self, vertex: Vertex, listener: Listener) -> None:
        self._vertex = vertex
        self._listener = listener
        self._began = False
        self._at = time.time_ns()

    def begin(self, container: str = "") -> None:
        if not self._began:
            self._began = True
            self._listener(Started(self._vertex, self._at, container))

    def container(self, container_id: str) -> None:
        self.begin(container_id)

    def log(self, stream: int, data: bytes) -> None:
        self._listener(Logged(self._vertex, stream, data))


def _single(vertex: Vertex) -> str:
    """The path of what a copy takes, when that is one thing."""
    operation = vertex.operation
    sources = operation.sources if isinstance(operation, CopyFiles) else ()
    return sources[0].path.lstrip("/") if len(sources) == 1 else ""


def _stands_alone(vertex: Vertex) -> bool:
    return isinstance(vertex.operation, CopyFiles) and vertex.operation.link


def _layers(result: Result) -> tuple[LayerRef, ...]:
    assert isinstance(result, Root)
    return result.layers


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that began it: not that an input of others failed."""
    flat: list[BaseException] = []
    todo: list[BaseException] = [errors]
    while todo:
        error = todo.pop(0)
        if isinstance(error, BaseExceptionGroup):
            todo += error.exceptions
        else:
            flat.append(error)
    return next((error for error in flat if not isinstance(error, Cancelled)), flat[0])
