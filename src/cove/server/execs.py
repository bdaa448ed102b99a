"""Routes of execs."""

from typing import Protocol

from cove.wire.execs import ExecCreate, ExecCreated, ExecInspect, ExecStart
from cove.wire.streams import Stream


class Execs(Protocol):
    async def create(self, ref: str, request: ExecCreate) -> ExecCreated:
        """Raises Conflict when the container does not run, InvalidArgument ("No exec command specified")."""

    async def start(self, exec_id: str, request: ExecStart) -> Stream | None:
        """Start it; its streams, or None when ``request.detach``. Raises NotFound, Conflict."""

    async def resize(self, exec_id: str, *, rows: int, columns: int) -> None: ...

    async def inspect(self, exec_id: str) -> ExecInspect: ...
