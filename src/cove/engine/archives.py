"""The API's requests that move a container's files; they come with volumes and files."""

from collections.abc import AsyncIterator

from cove.engine.registry import Registry
from cove.errors import Unimplemented
from cove.wire.containers import PathStat


class Archives:
    """Answers for containers that exist that it cannot do this yet."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def stat(self, ref: str, path: str) -> PathStat:
        raise self._refused(ref, "cp")

    async def get(self, ref: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        raise self._refused(ref, "cp")

    async def put(
        self, ref: str, path: str, chunks: AsyncIterator[bytes], *, no_overwrite_dir_non_dir: bool, copy_uid_gid: bool
    ) -> None:
        raise self._refused(ref, "cp")

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        raise self._refused(ref, "export")

    def _refused(self, ref: str, what: str) -> Unimplemented:
        self._registry.get(ref)
        return Unimplemented(f"{what} is not supported yet")
