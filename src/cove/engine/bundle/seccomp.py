"""Which system call filter a container gets. Profiles are compiled when a container is created, off the event loop."""

import asyncio
from pathlib import Path

from cove.engine.bundle import security
from cove.engine.bundle.specification import container_capabilities
from cove.engine.containers.record import Record
from cove.errors import InvalidArgument
from cove.kernel import seccomp as kernel
from cove.runtime.messages import SeccompFilter
from cove.seccomp.cache import BUILTIN, Compiled, Filters
from cove.seccomp.profile import decode
from cove.wire.host_config import HostConfig


def read_default(setting: str) -> str:
    """The daemon's profile: ``builtin``, ``unconfined``, or the JSON in a file. Raises InvalidArgument."""
    if setting in (BUILTIN, security.UNCONFINED):
        return setting
    try:
        text = Path(setting).read_text()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise InvalidArgument(f"opening seccomp profile ({setting}) failed: open {setting}: {reason}") from error
    decode(text)
    return text


class Seccomp:
    """``directory``: of compiled filters. ``setting``: of the daemon, see ``read_default``."""

    def __init__(self, directory: Path, setting: str = BUILTIN) -> None:
        self._filters = Filters(directory)
        self._setting = setting
        self._default = read_default(setting)
        self._supported = kernel.supported()

    async def prepare(self, host: HostConfig) -> None:
        """Compile what a container needs, unless that is done. Raises InvalidArgument in Docker's words."""
        profile = self._profile(host)
        if profile is not None and not self._filters.known(profile, container_capabilities(host)):
            await asyncio.to_thread(self._filters.get, profile, container_capabilities(host))

    def filter(self, record: Record) -> SeccompFilter | None:
        """For the container's processes. Raises InvalidArgument, OSError."""
        compiled = self.compiled(record.host_config)
        if compiled is None:
            return None
        made = compiled.filter
        return {"program": compiled.path, "flags": made.flags, "listener": made.listener, "metadata": made.metadata}

    def compiled(self, host: HostConfig) -> Compiled | None:
        """The same with what it was made from, which a foreign runtime is given as ``linux.seccomp``."""
        profile = self._profile(host)
        return None if profile is None else self._filters.get(profile, container_capabilities(host))

    @property
    def shown(self) -> str:
        """Of ``/info``: the daemon's setting, or "" where the kernel has no filters."""
        return self._setting if self._supported else ""

    def _profile(self, host: HostConfig) -> str | None:
        """The profile's text. None: no filter, for privileged containers that name none as well."""
        asked = security.parse(host.security_opt or []).seccomp
        if asked == security.UNCONFINED or (host.privileged and not asked):
            return None
        if not self._supported:
            if asked and asked != BUILTIN:
                raise InvalidArgument("seccomp is not enabled in your kernel, cannot run a custom seccomp profile")
            return None
        chosen = asked or self._default
        return None if chosen == security.UNCONFINED else chosen
