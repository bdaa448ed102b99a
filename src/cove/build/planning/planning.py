"""From a Dockerfile's plan to a graph and a recipe for one platform.

Nothing is built here. Base images are looked up, since what they say of themselves decides what instructions mean.
"""

import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from cove.build.planning.configuring import Configuring, command_line, environment, with_path, working_directory
from cove.build.planning.dialect import Dialect
from cove.build.planning.graph import (
    CopyFiles,
    CopySource,
    Given,
    LayerRef,
    MakeDirectory,
    MountOption,
    Root,
    Run,
    Vertex,
)
from cove.build.planning.recipe import BuiltStage, Recipe, Step
from cove.build.planning.scripts import script
from cove.build.solving import transfers
from cove.build.solving.running import Limits, WantedDevice
from cove.dockerfile import (
    PROXIES,
    ImageOrigin,
    Origin,
    Plan,
    PlannedStage,
    Scope,
    StageOrigin,
    context_name,
    parse_trigger,
)
from cove.dockerfile import instructions as types
from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.mounts import Mount
from cove.errors import InvalidArgument
from cove.images import Image
from cove.oci.image import Config
from cove.platform import Platform

FROM_FILES = "buildkit.exporter.image.v0"
"""BuildKit's comment on a layer that no instruction of the Dockerfile has made."""
_CHANGING = (types.Run, types.Transfer, types.Workdir)


class Inputs(Protocol):
    """What a plan needs from outside."""

    async def image(self, name: str, platform: Platform) -> Image:
        """A base image, for this platform. Raises NotFound."""

    def context(self, name: str) -> Vertex | None:
        """The build context (""), or a named one by its ``context_name``, as files; None when there is none."""


@dataclass(frozen=True)
class Wishes:
    """What whoever asks for a build says about its steps."""

    limits: Limits = field(default_factory=Limits)
    arguments: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    insecure: bool = False
    """Whether ``RUN --security=insecure`` is allowed."""
    devices: Collection[str] = ()
    """Which devices ``RUN --device`` may name, by name or kind; ``*`` is all."""
    host_network: bool = False
    """Whether ``RUN --network=host`` is allowed."""

    def allows(self, device: str) -> bool:
        """Whether a step may have a device."""
        return any(allowed in self.devices for allowed in ("*", device, device.partition("=")[0]))


async def recipe(plan: Plan, platform: Platform, inputs: Inputs, wishes: Wishes, dialect: Dialect) -> Recipe:
    """Raises DockerfileError with the place of what cannot be, NotFound for an image."""
    planner = _Planner(plan, platform, inputs, wishes, dialect)
    for index in plan.order:
        await planner.stage(plan.stages[index])
    return Recipe(tuple(planner.stages[index] for index in plan.order))


SCRATCH = Vertex(Given(Root(), "scratch"), name="scratch", internal=True)


class _Planner:
    """Stages by index, and the scopes at their ends."""

    def __init__(self, plan: Plan, platform: Platform, inputs: Inputs, wishes: Wishes, dialect: Dialect) -> None:
        self.plan = plan
        self.inputs = inputs
        self.wishes = wishes
        self.dialect = dialect
        self.stages: dict[int, BuiltStage] = {}
        self.scopes: dict[int, Scope] = {}
        self._platform = platform
        self._roots: dict[str, Vertex] = {}

    async def stage(self, planned: PlannedStage) -> None:
        """Raises DockerfileError."""
        base, start, config, platform = await self._base(planned)
        files = self._files(planned)
        triggers = [parse_trigger(text, planned.stage.start.location) for text in config.on_build or ()]
        config = with_path(replace_triggers(config))
        if isinstance(planned.base, StageOrigin):
            scope = self.scopes[planned.base.index].inherited()
        else:
            scope = Scope(environment(config), self.plan.globals, self.wishes.arguments, self.plan.dockerfile.escape)
        made = _Stage(self, planned, platform, config, start, scope)
        instructions = [*triggers, *planned.stage.instructions]
        made.total = 1 + sum(isinstance(instruction, _CHANGING) for instruction in instructions)
        if files is not None:
            made.begin_with(files)
        for instruction in instructions:
            try:
                await made.add(instruction)
            except DockerfileError as error:
                raise error.at(instruction.location) from None
            except InvalidArgument as error:
                raise DockerfileError(error.message, instruction.location) from error
        self.scopes[planned.index] = made.scope
        self.stages[planned.index] = BuiltStage(
            planned.label,
            planned.stage.start.code,
            base,
            tuple(made.steps),
            made.root,
            start,
            made.configuring.config,
            platform,
            made.author,
            planned.stage.start.location.first,
        )

    async def _base(self, planned: PlannedStage) -> tuple[Image | BuiltStage | None, Vertex, Config, Platform]:
        if isinstance(planned.base, StageOrigin):
            stage = self.stages[planned.base.index]
            return stage, stage.root, stage.config, planned.platform or stage.platform
        platform = planned.platform or self._platform
        if not isinstance(planned.base, ImageOrigin) or self._files(planned) is not None:
            return None, SCRATCH, self.dialect.empty, platform
        try:
            image = await self.inputs.image(planned.base.name, platform)
        except DockerfileError as error:
            raise error.at(planned.stage.start.location) from None
        return image, self.root(image, planned.base.name), image.config.config or Config(), platform

    def _files(self, planned: PlannedStage) -> Vertex | None:
        """The named context that stands in for what a stage begins with, where that is files and no image."""
        origin = planned.base
        return self.inputs.context(context_name(origin.name)) if isinstance(origin, ImageOrigin) else None

    def root(self, image: Image, name: str) -> Vertex:
        """The files of an image."""
        vertex = self._roots.get(image.id)
        if vertex is None:
            given = Given(root_of(image), image.manifest)
            vertex = self._roots[image.id] = Vertex(given, name=f"FROM {name}", instruction=f"FROM {name}")
        return vertex

    async def origin(self, origin: Origin | None, name: str, platform: Platform) -> Vertex:
        """Where a COPY or a mount takes files from: the context when nothing is named."""
        if not name:
            return self._context("")
        if isinstance(origin, StageOrigin):
            return self.stages[origin.index].root
        named = self.inputs.context(context_name(origin.name if isinstance(origin, ImageOrigin) else name))
        if named is not None:
            return named
        if not isinstance(origin, ImageOrigin):
            return SCRATCH
        return self.root(await self.inputs.image(origin.name, platform), origin.name)

    def _context(self, name: str) -> Vertex:
        found = self.inputs.context(name)
        return found if found is not None else SCRATCH


def root_of(image: Image) -> Root:
    """The layers of an image that is here."""
    parts = zip(image.layers, image.config.rootfs.diff_ids, image.layer_sizes, strict=True)
    return Root(tuple(LayerRef(blob, diff_id, size) for blob, diff_id, size in parts))


def replace_triggers(config: Config) -> Config:
    """Triggers of a base are done once, and not handed on."""
    return msgspec.structs.replace(config, on_build=None) if config.on_build else config


class _Stage:
    """One stage while its instructions are gone through."""

    def __init__(
        self, planner: _Planner, planned: PlannedStage, platform: Platform, config: Config, root: Vertex, scope: Scope
    ) -> None:
        self._planner = planner
        self._planned = planned
        self._platform = platform
        self.configuring = Configuring(config, args_escaped=planner.dialect.args_escaped)
        self.root = root
        self.scope = scope
        self.steps: list[Step] = []
        self.author = ""
        self.total = 0
        self._number = 1
        self._label = planned.label if len(planner.plan.stages) > 1 else ""

    def begin_with(self, files: Vertex) -> None:
        """Have all of a context as the first layer, over nothing."""
        start = self._planned.stage.start
        everything = CopyFiles((CopySource(input=1),), "/", True)
        name, label = f"[{self._place(1)}] {start.code}", self._planned.label
        self.root = Vertex(everything, (self.root, files), name, start.code, label, str(self._platform))
        created_by, config = f"local source for {start.image}", self.configuring.config
        step = Step(start.code, self.root, config, created_by, FROM_FILES, "", start.location.first, start.code)
        self.steps.append(step)

    async def add(self, written: types.Instruction) -> None:
        """Raises DockerfileError, InvalidArgument."""
        instruction = self.scope.enter(written).instruction
        vertex = await self._vertex(written, instruction)
        self.configuring.apply(instruction)
        if isinstance(instruction, types.Maintainer):
            self.author = instruction.author
        dialect = self._planner.dialect
        created_by = dialect.created_by(instruction, self.configuring.config, self.scope.visible_arguments)
        if vertex is not None:
            self.root = vertex
        step = Step(
            written.code,
            vertex,
            self.configuring.config,
            created_by,
            dialect.comment(vertex is not None),
            self.author if dialect.names_author else "",
            written.location.first,
            f"[{self._label}] {written.code}" if self._label else written.code,
        )
        self.steps.append(step)

    async def _vertex(self, written: types.Instruction, instruction: types.Instruction) -> Vertex | None:
        if isinstance(instruction, types.Run):
            return await self._run(written, instruction)
        if isinstance(instruction, types.Transfer):
            return await self._transfer(written, instruction)
        if isinstance(instruction, types.Workdir):
            path = working_directory(self.configuring.config, instruction.path)
            owner = self.configuring.config.user if self._planner.dialect.user_owns else ""
            return self._made(written, MakeDirectory(path, owner), ())
        return None

    def _made(
        self, written: types.Instruction, operation: object, inputs: tuple[Vertex, ...], note: str = ""
    ) -> Vertex:
        self._number += 1
        return Vertex(
            operation,  # type: ignore[arg-type]
            (self.root, *inputs),
            f"[{self._place(self._number)}] {written.code}{note}",
            written.code,
            self._planned.label,
            str(self._platform),
        )

    def _place(self, number: int) -> str:
        return f"{self._label} {number}/{self.total}".strip()

    async def _run(self, written: types.Instruction, run: types.Run) -> Vertex:
        config, wishes = self.configuring.config, self._planner.wishes
        self._check_gates(run)
        inputs, mounts = await self._mounts(written, run)
        files, words = script(run)
        shell_words = replace(run, words=words, shell=run.shell and not files)
        proxies = {name: value for name, value in wishes.arguments.items() if name in PROXIES}
        variables = {**proxies, **self.scope.environment}
        operation = Run(
            tuple(command_line(shell_words, config)),
            tuple(f"{name}={value}" for name, value in variables.items()),
            config.working_dir or "/",
            config.user,
            wishes.limits,
            mounts,
            run.network,
            run.security == "insecure",
            tuple(name for name in proxies if name not in self.scope.arguments),
            tuple(self.scope.arguments),
            files,
            tuple(WantedDevice(device.name, device.required) for device in run.devices),
        )
        return self._made(written, operation, inputs)

    def _check_gates(self, run: types.Run) -> None:
        wishes = self._planner.wishes
        if run.security == "insecure" and not wishes.insecure:
            raise DockerfileError("security.insecure is not allowed", run.location)
        if run.network == "host" and not wishes.host_network:
            raise DockerfileError("network.host is not allowed", run.location)
        for device in run.devices:
            if not wishes.allows(device.name):
                raise DockerfileError(f"device {device.name} is not allowed", run.location)

    async def _mounts(
        self, written: types.Instruction, run: types.Run
    ) -> tuple[tuple[Vertex, ...], tuple[MountOption, ...]]:
        inputs: list[Vertex] = []
        made: list[MountOption] = []
        for number, mount in enumerate(run.mounts):
            place = -1
            if mount.type == "bind" or (mount.type == "cache" and mount.origin):
                inputs.append(await self._origin(written, mount.origin, number))
                place = len(inputs)
            made.append(self._mount(mount, place, number))
        return tuple(inputs), tuple(made)

    async def _origin(self, written: types.Instruction, name: str, number: int) -> Vertex:
        known = next((origins for place, origins in self._planned.origins if place is written), ())
        origin = known[number] if number < len(known) else None
        if origin is None and name:  # of a trigger
            origin = self._planner.plan.origin(name, self._planned.index)
        return await self._planner.origin(origin, name, self._platform)

    def _mount(self, mount: Mount, place: int, number: int) -> MountOption:
        name = mount.id or (mount.target if mount.type == "cache" else posixpath.basename(mount.source or mount.target))
        target = mount.target
        if mount.type == "secret":
            name = mount.id or mount.source or posixpath.basename(mount.target)
            target = target or ("" if mount.env is not None else f"/run/secrets/{posixpath.basename(name)}")
        if mount.type == "ssh":
            name, target = mount.id or "default", target or f"/run/buildkit/ssh_agent.{number}"
        return MountOption(
            type=mount.type,
            target=working_directory(self.configuring.config, target) if target else "",
            input=place,
            source=mount.source,
            readonly=mount.readonly,
            id=name,
            sharing=mount.sharing or "shared",
            required=mount.required,
            env=(mount.env or name) if mount.env is not None else None,
            mode=mount.mode,
            uid=mount.uid or 0,
            gid=mount.gid or 0,
            size=mount.size,
        )

    async def _transfer(self, written: types.Instruction, transfer: types.Transfer) -> Vertex:
        name = transfer.origin if isinstance(transfer, types.Copy) else ""
        source = await self._origin(written, name, 0)
        operation, remote = transfers.operation(transfer, self.configuring.config, self._planner.dialect)
        return self._made(written, operation, (source, *remote))
