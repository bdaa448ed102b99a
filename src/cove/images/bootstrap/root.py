"""A finished root file system, and how to make an image of it."""

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cove.oci.image import Config, History, ImageConfig, RootFS
from cove.store import in_thread

CHUNK = 1 << 20


@dataclass(frozen=True)
class Root:
    """The root as one uncompressed tar, and its configuration. Removes its files when it is closed.

    The same packages give the same bytes, so ``diff_id`` (``sha256:…`` of the tar) and the digest of
    ``image_config()`` depend on nothing else. ``created``: RFC 3339, when the newest file of the packages was made.
    ``packages``: name to version.
    """

    tar: Path
    size: int
    diff_id: str
    recipe: str
    config: Config
    architecture: str
    variant: str
    created: str
    packages: dict[str, str]

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes of the tar."""
        with self.tar.open("rb") as file:
            while chunk := await in_thread(file.read, CHUNK):
                yield chunk

    def image_config(self) -> ImageConfig:
        """The configuration of an image whose only layer is the tar."""
        return ImageConfig(
            architecture=self.architecture,
            os="linux",
            variant=self.variant,
            rootfs=RootFS(diff_ids=[self.diff_id]),
            config=self.config,
            created=self.created,
            history=[History(created=self.created, created_by=f"cove image bootstrap {self.recipe}")],
        )

    def changes(self) -> list[str]:
        """The configuration as the Dockerfile lines that an import takes."""
        lines = [f"ENV {variable}" for variable in self.config.env or []]
        lines += [f"LABEL {json.dumps(name)}={json.dumps(value)}" for name, value in (self.config.labels or {}).items()]
        return [*lines, f"CMD {json.dumps(self.config.cmd)}"] if self.config.cmd else lines

    def close(self) -> None:
        shutil.rmtree(self.tar.parent, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
