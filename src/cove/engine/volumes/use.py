"""Which containers have a volume, and changes that want none of them to run."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.errors import Conflict


class Use:
    """Looks at the containers of the ``registry``."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def refuse_running(self, name: str, action: str) -> None:
        """Raises Conflict while a container runs with the volume, naming all that do."""
        users = [user for user in self._registry.volume_users(name) if user.running]
        if users:
            words = ", ".join(user.id for user in users)
            raise Conflict(f"{action} {name}: volume is in use by running containers - [{words}]")

    @contextlib.asynccontextmanager
    async def nobody(self, name: str, action: str) -> AsyncIterator[Sequence[Container]]:
        """While none of the volume's containers runs or starts: those. Raises Conflict."""
        self.refuse_running(name, action)
        users = sorted(self._registry.volume_users(name), key=lambda user: user.id)
        async with contextlib.AsyncExitStack() as locks:
            for user in users:
                await locks.enter_async_context(self._registry.locked(user))
            self.refuse_running(name, action)
            yield users
