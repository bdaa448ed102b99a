"""A Dockerfile's stages once they are a graph: steps in order, each with its vertex and the configuration after it."""

from dataclasses import dataclass

from cove.build.planning.graph import Vertex
from cove.images import Image
from cove.oci.image import Config
from cove.platform import Platform


@dataclass(frozen=True)
class Step:
    """``text``: as ``Step 1/5 : …`` shows it. ``name``: for people, with its stage where there are several.

    ``vertex``: None when it changes no files.

    ``created_by``: for the history, with ``{files}`` where the digest of what was copied goes; nothing for a step that
    has no line in it.
    """

    text: str
    vertex: Vertex | None
    config: Config
    created_by: str
    comment: str
    author: str
    line: int = 0
    name: str = ""


@dataclass(frozen=True)
class BuiltStage:
    """``base``: the image or stage that it begins with, or None for scratch. ``root``: its files at the end."""

    label: str
    title: str
    base: "Image | BuiltStage | None"
    steps: tuple[Step, ...]
    root: Vertex
    start: Vertex
    config: Config
    platform: Platform
    author: str = ""
    line: int = 0

    @property
    def lineage(self) -> "list[BuiltStage]":
        """The stages that it stands on, the first one first, and itself."""
        found = [self]
        while isinstance(found[0].base, BuiltStage):
            found.insert(0, found[0].base)
        return found

    @property
    def path(self) -> list[Vertex]:
        """The vertices that its files are made of, one on top of the other, the last first."""
        found = [self.root]
        while found[-1].inputs:
            found.append(found[-1].inputs[0])
        return found

    @property
    def base_image(self) -> Image | None:
        """The image that the first of the lineage begins with."""
        base = self.lineage[0].base
        return base if isinstance(base, Image) else None


@dataclass(frozen=True)
class Recipe:
    """All stages that are built for one platform, in order; the last is the target."""

    stages: tuple[BuiltStage, ...]

    @property
    def target(self) -> BuiltStage:
        return self.stages[-1]

    @property
    def steps(self) -> int:
        """How many ``Step`` lines there are: one for each FROM and each instruction."""
        return sum(1 + len(stage.steps) for stage in self.stages)
