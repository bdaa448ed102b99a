"""A build from beginning to end: Dockerfile and context to a recipe, a solved graph, and what was asked for of it."""

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from cove.build.cache import cache_images
from cove.build.cache.cache import Cache
from cove.build.outputs.assembling import Assembly, Stamp, labelled, squashed
from cove.build.outputs.attesting import Attesting
from cove.build.outputs.described import Described, described
from cove.build.outputs.outputs import Built, Output, export, keep_left
from cove.build.outputs.provenance import Material, Wanted
from cove.build.planning.checking import checked
from cove.build.planning.dialect import Classic, Dialect
from cove.build.planning.graph import Context, Given, Origin, Root, Vertex
from cove.build.planning.planning import Inputs, Wishes, recipe, root_of
from cove.build.planning.recipe import Recipe
from cove.build.progress.progress import Checked, Event, Finished, Listener, Noted, Planned
from cove.build.solving.executors import Executors, StepFailed
from cove.build.solving.following import Finishes, Following
from cove.build.solving.mounts import MountLocks, Mounts, Secrets
from cove.build.solving.remotes import Fetcher, Remotes
from cove.build.solving.running import Runner
from cove.build.solving.solver import Inflight, Solver
from cove.build.solving.steps import StepLayers
from cove.dockerfile import DockerfileError, Options, Plan, context_name, parse, plan
from cove.dockerfile.ignore import Matcher
from cove.errors import CoveError, InvalidArgument
from cove.images import Image, Images
from cove.images.leases import Lease
from cove.layers import Worker
from cove.layers.builds.reading import read_file
from cove.layers.worker.build_jobs import (
    HideInContext,
    HideInContextDone,
    ReadFile,
    ReadFileDone,
    ReceiveContext,
    ReceiveContextDone,
    TreePlace,
)
from cove.platform import Platform, host
from cove.reference import Reference

MOST_DOCKERFILE = 16 << 20
"""The most bytes of a Dockerfile."""
SMALL_INDEX = 1 << 16
"""Bytes of a context's index, of some 700 files, that are read here: a job of the worker would take longer."""


@dataclass(frozen=True)
class CacheTarget:
    """Where records go: into an image of their own, or, without a name, into the image that is built.

    ``everything``: those of all steps, not only of the image's own (``mode=max``).
    """

    name: Reference | None = None
    everything: bool = False


@dataclass(frozen=True)
class Request:
    """What is to be built. ``target``: a stage, or "" for the last. ``platforms``: none is this machine's.

    ``dockerfile``: its path in the context, or its bytes. ``no_cache``, ``no_cache_filter``: build all steps, or those
    of these stages, anew. ``labels``: added to the image. ``epoch``: SOURCE_DATE_EPOCH. ``rewrite``: also for files.
    ``attestations``: ``provenance`` with its mode, ``sbom``. ``vcs``: what provenance says of the client's repository.
    ``debug``: make an image of what a step that fails has left. ``named``: what images stand in for, stages among them.
    ``ignored``: what the context's ignore file leaves out; None where that is not known.
    """

    dockerfile: str | bytes = "Dockerfile"
    target: str = ""
    platforms: Sequence[Platform] = ()
    wishes: Wishes = field(default_factory=Wishes)
    no_cache: bool = False
    no_cache_filter: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    dialect: Dialect = field(default_factory=Classic)
    epoch: int | None = None
    rewrite: bool = False
    debug: bool = False
    vcs: Mapping[str, str] = field(default_factory=dict)
    named: Collection[str] = ()
    ignored: Matcher | None = None
    squash: bool = False
    attestations: Mapping[str, str] = field(default_factory=dict)
    cache_from: Sequence[str] = ()
    cache_to: Sequence[CacheTarget] = ()
    outputs: Sequence[Output] = ()


class Bases(Protocol):
    """Where base images come from."""

    async def image(self, name: str, platform: Platform, listener: Listener) -> Image:
        """An image that is here, or pulled. Raises NotFound."""


class NoSecrets:
    """Of a client that lends nothing."""

    async def secret(self, name: str) -> bytes | None:
        return None

    async def agent(self, name: str, socket: Path) -> bool:
        return False


class Builder:
    """Builds, many at once. ``data_root``, ``run_root``: directories of the daemon."""

    def __init__(
        self, images: Images, cache: Cache, worker: Worker, runner: Runner, data_root: Path, run_root: Path
    ) -> None:
        self.images = images
        self.cache = cache
        self._worker = worker
        self._runner = runner
        self._scratch = data_root / "tmp"
        self._run_root = run_root / "builds"
        self.fetcher: Fetcher | None = None
        self._inflight = Inflight()
        self._mount_locks = MountLocks()
        processors = os.cpu_count() or 1
        self._programs = asyncio.Semaphore(max(4, 2 * processors))
        self._slots = asyncio.Semaphore(max(4, 2 * processors))

    async def receive(self, chunks: AsyncIterator[bytes], directory: Path) -> Context:
        """Keep a context, a tar, in a directory of the build's. Raises InvalidArgument naming a bad entry."""
        name = secrets.token_hex(4)
        job = ReceiveContext(str(directory / f"{name}.tar"), str(directory / f"{name}.index"))
        done = await self._worker.run_stream(job, ReceiveContextDone, chunks)
        return Context(job.tar, job.index, done.digest)

    async def read(self, context: Context, path: str, limit: int) -> bytes | None:
        """At most ``limit`` bytes of a file in a context, links in it followed inside the context; None without it."""
        job = ReadFile(TreePlace(context.tar, context.index), _bytes(path), limit)
        if os.path.getsize(context.index) <= SMALL_INDEX:
            return (await asyncio.to_thread(read_file, job)).content
        return (await self._worker.run(job, ReadFileDone)).content

    async def hide(self, context: Context, paths: Collection[str]) -> Context:
        """Take files out of a context, which becomes another."""
        done = await self._worker.run(HideInContext(context.index, [_bytes(path) for path in paths]), HideInContextDone)
        return Context(context.tar, context.index, done.digest)

    @contextlib.asynccontextmanager
    async def directory(self) -> AsyncIterator[Path]:
        """A directory for one build, which goes with it."""
        place = self._scratch / f"build-{secrets.token_hex(8)}"
        place.mkdir(mode=0o700)
        try:
            yield place
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, place, ignore_errors=True))

    async def build(
        self,
        request: Request,
        contexts: Mapping[str, Context],
        bases: Bases,
        scratch: Path,
        listener: Listener,
        lent: Secrets | None = None,
    ) -> Built:
        """Build it. ``contexts``: the main one under "". ``scratch``: from ``directory``. Raises CoveError."""
        self._runner.check(request.wishes.limits)
        Wanted.parse(request.attestations.get("provenance", ""))
        text = await self._dockerfile(request, contexts)
        async with self.images.lease() as lease:
            one = _Build(self, request, contexts, bases, scratch, listener, lease, lent or NoSecrets())
            return await one.run(text)

    async def _dockerfile(self, request: Request, contexts: Mapping[str, Context]) -> bytes:
        if isinstance(request.dockerfile, bytes):
            return request.dockerfile
        context = contexts.get("")
        if context is None:
            raise InvalidArgument("Cannot locate specified Dockerfile: " + request.dockerfile)
        content = await self.read(context, request.dockerfile, MOST_DOCKERFILE + 1)
        if content is None:
            raise InvalidArgument(f"Cannot locate specified Dockerfile: {request.dockerfile}")
        if len(content) > MOST_DOCKERFILE:
            raise InvalidArgument(f"{request.dockerfile}: the Dockerfile has more than {MOST_DOCKERFILE >> 20} MiB")
        return content

    def solver(self, build: "_Build", steps_: StepLayers) -> Solver:
        """A solver for one build."""
        mounts = Mounts(self.cache, build.secrets, self._run_root, self._mount_locks, steps_.fill)
        executors = Executors(
            steps_,
            self.cache,
            self._runner,
            mounts,
            self._programs,
            build.scratch,
            build.debug,
            build.epoch,
            remotes=Remotes(self.cache, self.fetcher, build.scratch),
        )
        return Solver(executors, steps_, self.cache, self._inflight, build.note, build.skips)

    def step_layers(self, lease: Lease, epoch: int) -> StepLayers:
        return StepLayers(self.images, self._worker, lease, self._slots, epoch)


class _Build(Inputs):
    """One build under way."""

    def __init__(
        self,
        builder: Builder,
        request: Request,
        contexts: Mapping[str, Context],
        bases: Bases,
        scratch: Path,
        listener: Listener,
        lease: Lease,
        secrets_: Secrets,
    ) -> None:
        self._builder = builder
        self._request = request
        self._bases = bases
        self.scratch = scratch
        self.debug = request.debug
        self.epoch = request.epoch
        self.secrets = secrets_
        self._listener = listener
        self._lease = lease
        self._images: dict[tuple[str, str], asyncio.Task[Image]] = {}
        self._materials: dict[str, Material] = {}
        self.finishes = Finishes()
        self._contexts = {
            context_name(name): Vertex(Given(context, context.tar), name=f"[context] {name or 'build'}", internal=True)
            for name, context in contexts.items()
        }

    @property
    def _dockerfile_name(self) -> str:
        return self._request.dockerfile if isinstance(self._request.dockerfile, str) else "Dockerfile"

    async def run(self, text: bytes) -> Built:
        """Raises DockerfileError, with the lines around the mistake where the dialect shows them; CoveError."""
        try:
            return await self._run(text)
        except DockerfileError as error:
            if not self._request.dialect.shows_place:
                raise
            place = error.excerpt(self._dockerfile_name, text.decode("utf-8", "replace"))
            raise DockerfileError(place + error.message, error.location) from error

    async def _run(self, text: bytes) -> Built:
        request, began = self._request, time.time_ns()
        for name in request.cache_from:
            await self._import_cache(name)
        dockerfile = parse(text)
        platforms = request.platforms or [host()]
        plans = [plan(dockerfile, self._options(platform)) for platform in platforms]
        recipes = [
            await recipe(planned, platform, self, request.wishes, request.dialect)
            for planned, platform in zip(plans, platforms, strict=True)
        ]
        self._check(plans, text)
        self._listener(Planned(tuple(recipes)))
        epoch = request.epoch if request.epoch is not None and request.rewrite else -1
        layers = self._builder.step_layers(self._lease, epoch)
        solver = self._builder.solver(self, layers)
        following = [Following(made, self.finishes, self._builder.cache, self.note, self) for made in recipes]
        follow = asyncio.ensure_future(_follow(following, Stamp(request.epoch)))
        try:
            await self._solve(solver, [made.target.root for made in recipes])
            assemblies = await follow
        finally:
            follow.cancel()
            await asyncio.wait([follow])
        images = [labelled(made, request.labels, of.target) for made, of in zip(assemblies, recipes, strict=True)]
        if request.squash:
            images = [await self._squashed(image, of, layers) for image, of in zip(images, recipes, strict=True)]
        for image in images:
            await layers.ensure(image.root)
        for target in request.cache_to:
            images = await self._export_cache(target, images, recipes, solver, following)
        recipe_of = dict(zip(map(id, images), recipes, strict=True))

        def describe(image: Assembly) -> Described:
            return described(recipe_of[id(image)], solver.results, self._dockerfile_name, text)

        fetched = [*solver.origins, *filter(None, map(self._origin, self._contexts))]
        materials = [*self._materials.values(), *map(Material.of, dict.fromkeys(fetched))]
        attesting = Attesting(self._builder.images, layers, request, materials, self._origin(""), describe, began)
        return await export(self._builder.images, images, request.outputs, attesting.attest, attesting.build)

    def _origin(self, name: str) -> Origin | None:
        """What a context was fetched from; None for one that the client has sent."""
        given = self._contexts[name].operation if name in self._contexts else None
        return given.result.origin if isinstance(given, Given) and isinstance(given.result, Context) else None

    async def _import_cache(self, name: str) -> None:
        """Know the records of an image; that it cannot be had is no reason not to build."""
        try:
            image = await self._bases.image(name, host(), self._listener)
            self._lease.keep(*image.chain_ids, *image.blobs)
            count = await cache_images.take(self._builder.images, self._builder.cache, image)
        except CoveError as error:
            self._listener(Noted(f"cache {name}", f"importing cache from {name}: {error.message}", done=True))
            return
        self._listener(Noted(f"cache {name}", f"importing cache from {name}: {count} new records", done=True))

    async def _export_cache(
        self,
        target: CacheTarget,
        made: list[Assembly],
        recipes: list[Recipe],
        solver: Solver,
        following: list[Following],
    ) -> list[Assembly]:
        """Write records to an image of their own, or into those that are built, which are returned."""
        every = [solver.records[vertex] for vertex in solver.records]
        plain = [key for each in following for key in each.keys]
        own = [solver.records[vertex] for each in recipes for vertex in each.target.path if vertex in solver.records]
        keys = dict.fromkeys([*(every if target.everything else own), *plain])
        records = [self._builder.cache.records[key] for key in keys if key in self._builder.cache.records]
        if target.name is None:
            return [replace(each, records=tuple(records)) for each in made]
        await cache_images.make(self._builder.images, records, target.name)
        return made

    async def _squashed(self, image: Assembly, recipe: Recipe, layers: StepLayers) -> Assembly:
        """The image with one layer in place of all that this build has made."""
        below = root_of(base) if (base := recipe.target.base_image) is not None else Root()
        layer = await layers.squash(below, image.root)
        return squashed(image, Root((*below.layers, *([layer] if layer else []))), time.time_ns())

    async def _solve(self, solver: Solver, roots: list[Vertex]) -> None:
        """Raises StepFailed with an image of what the step left, if that is wanted."""
        try:
            await solver.solve(roots)
        except StepFailed as error:
            if error.left is not None:
                error.kept = await keep_left(self._builder.images, error.left)
            raise

    def _options(self, platform: Platform) -> Options:
        request = self._request
        named = frozenset(map(context_name, filter(None, (*self._contexts, *request.named))))
        return Options(request.target, request.wishes.arguments, host(), platform, named)

    def _check(self, plans: Sequence[Plan], text: bytes) -> None:
        """Tell of what the checks find. Raises DockerfileError when that is to end the build."""
        images = [(name, task.result()) for (name, _), task in self._images.items() if task.done()]
        reports = [checked(planned, images, self._request.ignored) for planned in plans]
        findings = tuple(dict.fromkeys(finding for report in reports for finding in report.findings))
        if findings:
            self._listener(Checked(findings, self._dockerfile_name, text.decode("utf-8", "replace")))
        for report in reports:
            if report.failure is not None:
                raise report.failure

    async def image(self, name: str, platform: Platform) -> Image:
        task = self._images.get((name, str(platform)))
        if task is None:
            task = asyncio.ensure_future(self._bases.image(name, platform, self._listener))
            self._images[name, str(platform)] = task
        image = await task
        self._materials[name] = Material(name, image.manifest)
        self._lease.keep(*image.chain_ids, *image.blobs)
        return image

    def context(self, name: str) -> Vertex | None:
        return self._contexts.get(name)

    def note(self, event: Event) -> None:
        """Tell of an event, and remember how vertices ended."""
        if isinstance(event, Finished):
            self.finishes.note(event)
        self._listener(event)

    def skips(self, vertex: Vertex) -> bool:
        return self.skips_stage(vertex.stage)

    def skips_stage(self, stage: str) -> bool:
        """Whether the steps of a stage are built anew."""
        return self._request.no_cache or stage in self._request.no_cache_filter


async def _follow(following: Sequence[Following], stamp: Stamp) -> list[Assembly]:
    """One recipe after the other, so that their steps are told of in order."""
    return [await each.run(stamp) for each in following]


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
