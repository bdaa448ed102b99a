"""Routes that move a container's files: archive (``docker cp``) and export."""

from collections.abc import AsyncIterator
from typing import Protocol

from cove.wire.containers import PathStat


class Archives(Protocol):
    async def stat(self, ref: str, path: str) -> PathStat:
        """Raises NotFound for the path as well."""

    async def get(self, ref: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        """The path as a tar."""

    async def put(
        self, ref: str, path: str, chunks: AsyncIterator[bytes], *, no_overwrite_dir_non_dir: bool, copy_uid_gid: bool
    ) -> None:
        """Unpack a tar, compressed or not, in the directory ``path``."""

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        """The container's whole file system as a tar."""
