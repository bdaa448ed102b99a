"""What the daemon's configuration gives containers that do not say otherwise."""

from typing import NamedTuple

from cove.engine.logs import options as log_options
from cove.engine.logs.options import LogDefaults
from cove.wire.host_config import HostConfig, Ulimit


class Defaults(NamedTuple):
    """``shm_size``: bytes of /dev/shm. ``ulimits``: by name."""

    shm_size: int = 64 << 20
    ipc_mode: str = "private"
    cgroupns_mode: str = "private"
    ulimits: tuple[Ulimit, ...] = ()
    no_new_privileges: bool = False
    log: LogDefaults = LogDefaults()

    def apply(self, host: HostConfig) -> None:
        """Fill in what a request leaves open."""
        log_options.complete(host, self.log)
        host.ipc_mode = host.ipc_mode or self.ipc_mode
        host.cgroupns_mode = host.cgroupns_mode or self.cgroupns_mode
        host.shm_size = host.shm_size or self.shm_size
        named = {limit.name for limit in host.ulimits or []}
        if missing := [limit for limit in self.ulimits if limit.name not in named]:
            host.ulimits = [*(host.ulimits or []), *missing]
        if self.no_new_privileges and not any(map(_is_about_privileges, host.security_opt or [])):
            host.security_opt = [*(host.security_opt or []), "no-new-privileges"]


def _is_about_privileges(option: str) -> bool:
    return option.replace(":", "=", 1).partition("=")[0] == "no-new-privileges"
