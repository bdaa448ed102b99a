"""The API's requests that look into images: what is in them, what differs, what is wasted, and what is damaged."""

import posixpath
from collections.abc import Sequence

import msgspec

from cove.errors import InvalidArgument
from cove.images import Image
from cove.images import Images as ImageStore
from cove.layers import Worker
from cove.layers.worker.looking_jobs import (
    CompareStacks,
    FindWaste,
    ListFiles,
    ListFilesDone,
    StacksCompared,
    WasteFound,
)
from cove.wire.image_contents import (
    ImageDifference,
    ImageFile,
    ImageFileChange,
    ImageProblem,
    ImageSettingChange,
    ImagesVerified,
    ImageWaste,
    LayerWaste,
    WastedFile,
)


class ImageContents:
    """Use from one event loop; layers are read by the worker, and stay while they are."""

    def __init__(self, store: ImageStore, worker: Worker) -> None:
        self._store = store
        self._worker = worker

    async def verify(self, names: Sequence[str], *, repair: bool) -> ImagesVerified:
        report = await self._store.verify(names, repair=repair)
        problems = [
            ImageProblem(
                kind=problem.kind,
                name=problem.name,
                path=problem.path,
                problem=problem.problem,
                images=sorted({name for image_id in problem.images for name in self._names(image_id)}),
                repaired=problem.repaired,
            )
            for problem in report.problems
        ]
        return ImagesVerified(
            images=report.images, blobs=report.blobs, layers=report.layers, bytes=report.read, problems=problems
        )

    async def files(self, name: str, path: str) -> Sequence[ImageFile]:
        image = self._store.resolve(name)
        with self._store.hold(image.id):
            job = ListFiles(await self._layers(image), _cleaned(path))
            done = await self._worker.run(job, ListFilesDone)
        return [
            ImageFile(
                path=file.path,
                mode=file.mode,
                user=file.user,
                group=file.group,
                size=file.size,
                modified=file.modified,
                layer=file.layer + 1,
                target=file.target,
            )
            for file in done.files
        ]

    async def diff(self, before: str, after: str) -> ImageDifference:
        old, new = self._store.resolve(before), self._store.resolve(after)
        with self._store.hold(old.id), self._store.hold(new.id):
            job = CompareStacks(await self._layers(old), await self._layers(new))
            done = await self._worker.run(job, StacksCompared)
        shared = sum(1 for one, other in zip(old.chain_ids, new.chain_ids, strict=False) if one == other)
        return ImageDifference(
            before=old.id,
            after=new.id,
            shared=shared,
            files=[
                ImageFileChange(path=change.path, kind=change.kind, size_before=change.before, size_after=change.after)
                for change in done.changes
            ],
            settings=_settings(old, new),
        )

    async def waste(self, name: str) -> ImageWaste:
        image = self._store.resolve(name)
        with self._store.hold(image.id):
            done = await self._worker.run(FindWaste(await self._layers(image)), WasteFound)
        steps = _steps(image)
        layers = [
            LayerWaste(
                id=diff_id,
                created_by=step,
                size=use.size,
                files=use.files,
                overwritten=use.overwritten,
                deleted=use.deleted,
                repeated=use.repeated,
                dead=use.dead,
            )
            for diff_id, step, use in zip(image.config.rootfs.diff_ids, steps, done.layers, strict=True)
        ]
        return ImageWaste(
            id=image.id,
            total=sum(layer.size for layer in layers),
            wasted=sum(layer.dead for layer in layers),
            layers=layers,
            worst=[
                WastedFile(path=file.path, wasted=file.wasted, layers=[number + 1 for number in file.layers])
                for file in done.worst
            ],
        )

    async def _layers(self, image: Image) -> list[str]:
        """The lowest first."""
        return [str(path) for path in reversed(await self._store.lower_directories(image.id))]

    def _names(self, image_id: str) -> list[str]:
        return [reference.familiar for reference in self._store.references(image_id)] or [image_id]


def _cleaned(path: str) -> str:
    """From the root, without dots and the last slash; empty for all. Raises InvalidArgument."""
    if "\0" in path:
        raise InvalidArgument("invalid value for path: it has a null character in it")
    cleaned = posixpath.normpath(f"/{path.lstrip('/')}")
    return "" if cleaned == "/" else cleaned


def _steps(image: Image) -> list[str]:
    """What made each layer, the lowest first; empty where the history does not say."""
    steps = [step.created_by or step.comment for step in image.config.history or () if not step.empty_layer]
    count = len(image.config.rootfs.diff_ids)
    return (steps + [""] * count)[:count]


def _settings(before: Image, after: Image) -> list[ImageSettingChange]:
    """Fields of the configuration that are not alike, by name."""
    old, new = _fields(before), _fields(after)
    return [
        ImageSettingChange(name=name, before=old.get(name, ""), after=new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _fields(image: Image) -> dict[str, str]:
    found = msgspec.to_builtins(image.config.config) if image.config.config else {}
    found |= {"Platform": str(image.platform)}
    return {name: msgspec.json.encode(value).decode() for name, value in found.items()}
