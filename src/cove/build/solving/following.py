"""Follows the steps of a recipe in order while its vertices are solved in any order, and makes the image of them.

A step without files has a record of its own, so that it is done once, and a build from the cache alone gives the same
image, to the last byte, as the one before.
"""

import asyncio
import hashlib
import time
from typing import Protocol

from cove.build.cache.cache import Cache, Parts, Record
from cove.build.cache.explaining import UNUSED, reasons
from cove.build.outputs.assembling import Assembly, Stamp
from cove.build.planning.graph import Given, Root, Vertex
from cove.build.planning.recipe import BuiltStage, Recipe, Step
from cove.build.progress.progress import Explained, Finished, Listener, Stepped


class Finishes:
    """How vertices ended."""

    def __init__(self) -> None:
        self._futures: dict[Vertex, asyncio.Future[Finished]] = {}

    def note(self, finished: Finished) -> None:
        """A vertex is solved."""
        future = self._future(finished.vertex)
        if not future.done():
            future.set_result(finished)

    async def of(self, vertex: Vertex) -> Finished:
        """How a vertex ended, once it has."""
        return await asyncio.shield(self._future(vertex))

    def _future(self, vertex: Vertex) -> "asyncio.Future[Finished]":
        if vertex not in self._futures:
            self._futures[vertex] = asyncio.get_running_loop().create_future()
        return self._futures[vertex]


class Skipping(Protocol):
    """Which stages are built anew."""

    def skips_stage(self, stage: str) -> bool: ...


class Following:
    """One recipe."""

    def __init__(
        self, recipe: Recipe, finishes: Finishes, cache: Cache, listener: Listener, skipping: Skipping
    ) -> None:
        self._recipe = recipe
        self._finishes = finishes
        self._cache = cache
        self._listener = listener
        self._skipping = skipping
        self.keys: list[str] = []
        """Of the records of steps without files."""
        self._assemblies: dict[int, Assembly] = {}

    async def run(self, stamp: Stamp) -> Assembly:
        """The image of the last stage, when all its steps are done."""
        for stage in self._recipe.stages:
            self._assemblies[id(stage)] = await self._stage(stage, stamp)
        return self._assemblies[id(self._recipe.target)]

    async def _stage(self, stage: BuiltStage, stamp: Stamp) -> Assembly:
        if isinstance(stage.base, BuiltStage):
            made = self._assemblies[id(stage.base)].copy()
        else:
            given = stage.start.operation
            assert isinstance(given, Given) and isinstance(given.result, Root)
            made = Assembly.begin(stage, given.result, stamp)
        shown = made.id if made.config.rootfs.diff_ids or made.config.history else ""
        self._listener(Stepped(stage, -1, shown, cached=True))
        for index, step in enumerate(stage.steps):
            cached = await self._step(made, step, stage)
            self._listener(Stepped(stage, index, made.id, cached))
        return made

    async def _step(self, made: Assembly, step: Step, stage: BuiltStage) -> bool:
        if step.vertex is not None:
            finished = await self._finishes.of(step.vertex)
            made.advance(step, finished, finished.created)
            return finished.cached
        parts = {"kind": "configuration", "parent": made.id, "instruction": step.created_by or step.text}
        key = hashlib.sha256(f"{parts['parent']}\0{parts['instruction']}".encode()).hexdigest()
        self.keys.append(key)
        skipped = self._skipping.skips_stage(stage.label)
        record = None if skipped else self._cache.find(key)
        if record is None:
            self._listener(Explained(step, False, self._why(step, parts, skipped)))
            now = time.time_ns()
            self._cache.note(Record(key, "internal", step.name, now, now, parts=parts))
            made.advance(step, None, now)
            return False
        self._listener(Explained(step, True, ()))
        made.advance(step, None, record.created)
        return True

    def _why(self, step: Step, parts: dict[str, str], skipped: bool) -> tuple[str, ...]:
        """Why a step without files is not in the cache."""
        if skipped:
            return (UNUSED,)
        return reasons(Parts(parts), self._cache.nearest(parts, step.name), self._cache.listings)
