"""The image of a recipe, once its vertices are solved: configuration and history, step by step. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from cove.build.cache.cache import Record
from cove.build.cache.cache_images import with_records
from cove.build.planning.configuring import with_labels, with_path
from cove.build.planning.dialect import FILES
from cove.build.planning.graph import Root
from cove.build.planning.recipe import BuiltStage, Step
from cove.build.progress.progress import Finished
from cove.digest import Digest
from cove.images import Image
from cove.oci.image import Config, History, ImageConfig, RootFS
from cove.platform import Platform


@dataclass(frozen=True)
class Stamp:
    """``epoch``: seconds since 1970 that every step of this build gets as its time, or None for the real ones."""

    epoch: int | None = None

    def of(self, nanoseconds: int) -> str:
        """RFC 3339."""
        return moment(nanoseconds if self.epoch is None else self.epoch * 1_000_000_000)


def moment(nanoseconds: int) -> str:
    """RFC 3339 in UTC, as Docker writes it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


@dataclass
class Assembly:
    """A configuration in the making, from the base's on. ``created``: nanoseconds since the epoch of the last step."""

    config: ImageConfig
    root: Root
    stamp: Stamp = Stamp()
    created: int = 0
    records: tuple[Record, ...] = ()
    """What of the cache the image carries."""

    @classmethod
    def begin(cls, stage: BuiltStage, root: Root, stamp: Stamp) -> "Assembly":
        """From an image, or from scratch. ``root``: its files."""
        if isinstance(stage.base, Image):
            base = stage.base.config
            config, history = base.config or Config(), list(base.history or [])
            made = msgspec.structs.replace(base, config=config, history=history, comment="")
            return cls(made, root, stamp)
        return cls(_empty(stage.platform), root, stamp)

    def copy(self) -> "Assembly":
        """For a stage that goes on from here."""
        return replace(self)

    def advance(self, step: Step, finished: Finished | None, created: int) -> None:
        """Take in a step. ``created``: when it was made; of one without files that is not known by itself."""
        if finished is not None and isinstance(finished.result, Root):
            self.root = finished.result
        self.created = created or self.created
        text = step.created_by
        if FILES in text:
            text = text.replace(FILES, f"file:{finished.files}" if finished and finished.files else "multi:")
        history = History(
            created=self.stamp.of(self.created) if self.created else self.config.created,
            created_by=text,
            author=step.author,
            comment=step.comment,
            empty_layer=finished is None or finished.layer is None,
        )
        self.config = msgspec.structs.replace(
            self.config,
            config=step.config,
            history=[*(self.config.history or []), *([history] if text else [])],
            rootfs=RootFS(diff_ids=self.root.diff_ids),
            created=history.created,
            author=step.author or self.config.author,
        )

    @property
    def id(self) -> str:
        """The image's id so far."""
        return str(Digest.of(self.encoded))

    @property
    def encoded(self) -> bytes:
        """The configuration blob."""
        plain = msgspec.json.encode(self.config)
        return with_records(plain, self.records) if self.records else plain


def _empty(platform: Platform) -> ImageConfig:
    """It says nothing of containers before its first step."""
    return ImageConfig(platform.architecture, platform.os, RootFS(), None, [], variant=platform.variant)


def labelled(assembly: Assembly, labels: Mapping[str, str], stage: BuiltStage) -> Assembly:
    """The image as it is put out: with its author, the labels of whoever asked, and a time."""
    config = with_labels(with_path(assembly.config.config or stage.config), labels)
    created = assembly.config.created or assembly.stamp.of(assembly.created)
    author = next((each.author for each in reversed(stage.lineage) if each.author), assembly.config.author)
    made = msgspec.structs.replace(assembly.config, config=config, created=created, author=author)
    return replace(assembly, config=made)


def squashed(assembly: Assembly, root: Root, now: int) -> Assembly:
    """The image over other layers; its steps are in the history still, without layers, and one that has them all."""
    config = assembly.config
    history = list(config.history or [])
    kept = len(root.layers) - 1
    for place, step in enumerate(history):
        if step.empty_layer:
            continue
        kept -= 1
        if kept < 0:
            history[place] = msgspec.structs.replace(step, empty_layer=True)
    history.append(History(created=assembly.stamp.of(now), comment="merge of the layers of this build"))
    made = msgspec.structs.replace(config, history=history, rootfs=RootFS(diff_ids=root.diff_ids))
    return replace(assembly, config=made, root=root)
