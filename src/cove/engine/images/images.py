"""The API's requests about images as records: list, inspect, history, tag, remove, prune."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from cove.engine.builds.passing import passes
from cove.engine.containers.container import Container
from cove.engine.containers.views import STORAGE_DRIVER
from cove.engine.events.events import Events
from cove.engine.images import views as image_views
from cove.engine.platforms import asked
from cove.errors import Internal, InvalidArgument
from cove.filters import Filters
from cove.images import Deleted, Image, Target, Untagged, Use
from cove.images import Images as ImageStore
from cove.images.records import seconds
from cove.reference import Reference, is_tag
from cove.wire.images import (
    AttestationStatement,
    DriverData,
    ImageDeleted,
    ImageHistory,
    ImageInspect,
    ImageMetadata,
    ImagesPruned,
    ImageSummary,
    ManifestSummary,
    RootFS,
)

MOST_STATEMENT = 64 << 20
"""Bytes of the largest attestation that is shown; SBOMs are the large ones."""
Manifests = list[ManifestSummary]
Users = Callable[[str], Sequence[Container]]
"""The containers made from an image, by its id."""


class Images:
    """Shows, names and removes images."""

    def __init__(self, store: ImageStore, users: Users, events: Events) -> None:
        self._store = store
        self._users = users
        self._events = events

    async def list(
        self, *, all: bool, filters: Filters, shared_size: bool, manifests: bool = False, identity: bool = False
    ) -> Sequence[ImageSummary]:
        found = self._store.select(filters)
        shared = self._store.shared_sizes() if shared_size else {}
        targets = self._store.best_targets()
        shown = []
        for item in found:
            target = targets[item.image.id]
            summary = self._summary(item.image, target, item.references, shared.get(item.image.id, -1))
            summary.manifests = self._manifests(target, identity) if manifests else None
            shown.append(summary)
        return shown

    def layers_size(self) -> int:
        """Bytes of all unpacked layers, each counted once."""
        return self._store.layers.total_size()

    def _manifests(self, target: Target, identity: bool = False) -> Manifests:
        return image_views.manifests(
            target,
            self._store.get,
            lambda image_id: [container.id for container in self._users(image_id)],
            self._store.blobs.get,
            with_identity=identity,
        )

    def _summary(self, image: Image, target: Target, references: Sequence[Reference], shared: int) -> ImageSummary:
        return ImageSummary(
            id=image.id,
            repo_tags=[name.familiar for name in references if name.tag and not name.digest],
            repo_digests=[name.familiar for name in references if name.digest],
            created=int(seconds(image.config.created)),
            size=image.size,
            shared_size=shared,
            labels=(image.config.config.labels if image.config.config else None) or {},
            containers=len(self._users(image.id)),
            descriptor=image_views.descriptor(target.descriptor),
        )

    async def inspect(self, name: str, *, platform: str = "", manifests: bool = False) -> ImageInspect:
        if platform and manifests:
            raise InvalidArgument("conflicting options: manifests and platform options cannot both be set")
        image = self._store.resolve(name, asked(platform) if platform else None)
        target = self._store.target(name)
        names = self._store.references(target.image)
        config = image.config
        directories = [str(path) for path in await self._store.lower_directories(image.id)]
        return ImageInspect(
            id=image.id,
            repo_tags=[name.familiar for name in names if name.tag and not name.digest],
            repo_digests=[name.familiar for name in names if name.digest],
            comment=config.comment or (config.history[-1].comment if config.history else ""),
            created=config.created or "",
            docker_version=config.docker_version,
            author=config.author,
            config=msgspec.to_builtins(config.config) if config.config else {},
            architecture=config.architecture,
            variant=config.variant,
            os=config.os,
            os_version=config.os_version,
            size=image.size,
            graph_driver=DriverData(
                name=STORAGE_DRIVER,
                data=_directories(directories),
            ),
            root_fs=RootFS(layers=list(config.rootfs.diff_ids)),
            metadata=ImageMetadata(last_tag_time=image.tagged) if image.tagged else ImageMetadata(),
            descriptor=image_views.descriptor(target.descriptor),
            manifests=self._manifests(target) if manifests else None,
            identity=image_views.identity(target),
        )

    async def attestations(
        self, name: str, *, platform: str, types: Sequence[str], statement: bool
    ) -> Sequence[AttestationStatement]:
        image = self._store.resolve(name, asked(platform) if platform else None)
        found = []
        for blob in image_views.attestations(self._store.target(name), image.id):
            predicate = blob.annotations.get(image_views.PREDICATE_TYPE, "")
            if not types or predicate in types:
                body = await self._statement(blob.digest) if statement else None
                shown = image_views.descriptor(blob)
                found.append(AttestationStatement(descriptor=shown, predicate_type=predicate, statement=body))
        return found

    async def _statement(self, digest: str) -> Any:
        try:
            return msgspec.json.decode(await self._store.blobs.read(digest, MOST_STATEMENT))
        except msgspec.MsgspecError as error:
            raise Internal(f"attestation {digest}: {error}") from error

    async def history(self, name: str, *, platform: str = "") -> Sequence[ImageHistory]:
        return [
            ImageHistory(
                id=item.id,
                created=item.created,
                created_by=item.created_by,
                tags=item.tags or None,
                size=item.size,
                comment=item.comment,
            )
            for item in self._store.history(self._store.resolve(name, asked(platform) if platform else None))
        ]

    async def tag(self, name: str, *, repo: str, tag: str) -> None:
        self._store.resolve(name)
        reference = reference_of(repo, tag)
        if reference is None:
            raise InvalidArgument("repo is required")
        image = await self._store.tag(name, reference)
        self._events.publish("image", "tag", image.id, attributes(image, reference.with_default_tag().familiar))

    async def remove(
        self, name: str, *, force: bool, prune: bool, platforms: Sequence[str] = ()
    ) -> Sequence[ImageDeleted]:
        told = self._named()
        wanted = [asked(platform) for platform in platforms]
        if passes(name):
            return [self._removed(item, told) for item in await self._store.end(Reference.parse(name), self._uses)]
        removed = await self._store.remove(name, force=force, prune=prune, platforms=wanted, in_use=self._uses)
        return [self._removed(item, told) for item in removed]

    async def prune(self, filters: Filters) -> ImagesPruned:
        told = self._named()
        pruned = await self._store.prune(filters, self._uses)
        shown = [self._removed(item, told) for item in pruned.removed]
        self._events.publish("image", "prune", "", {"reclaimed": str(pruned.reclaimed)})
        return ImagesPruned(images_deleted=shown or None, space_reclaimed=pruned.reclaimed)

    def _named(self) -> dict[str, Image]:
        """The images by their names and ids."""
        found: dict[str, Image] = {}
        for item in self._store.select():
            found |= {item.image.id: item.image, **{name.familiar: item.image for name in item.references}}
        return found

    def _removed(self, item: Untagged | Deleted, told: Mapping[str, Image]) -> ImageDeleted:
        """``told``: what was there before. Docker tells of images, by their ids, and not of layers."""
        if isinstance(item, Untagged):
            image = told[item.reference]
            self._events.publish("image", "untag", image.id, attributes(image, image.id))
            return ImageDeleted(untagged=item.reference)
        if item.digest in told:
            self._events.publish("image", "delete", item.digest, {"name": item.digest})
        return ImageDeleted(deleted=item.digest)

    def _uses(self, image_id: str) -> Sequence[Use]:
        return [Use(container.id, container.running) for container in self._users(image_id)]


def attributes(image: Image, name: str) -> dict[str, str]:
    """What every event about an image tells: its labels, and the name that was used."""
    labels = image.config.config.labels if image.config.config else None
    return {**(labels or {}), "name": name}


def _directories(paths: Sequence[str]) -> dict[str, str]:
    """What overlay is given for the layers, the uppermost first."""
    made = {"UpperDir": paths[0]} if paths else {}
    return made | ({"LowerDir": ":".join(paths[1:])} if paths[1:] else {})


def reference_of(repo: str, tag: str) -> Reference | None:
    """The name that ``repo`` and ``tag`` of a query make; None when there is no repo. Raises InvalidArgument."""
    if not repo:
        return None
    if tag and ":" not in tag and not is_tag(tag):
        raise InvalidArgument("invalid tag format")
    return Reference.parse(f"{repo}@{tag}" if ":" in tag else f"{repo}:{tag}" if tag else repo)
