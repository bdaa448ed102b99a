"""Namespace modes: whose process ids, IPC, host name, network and user ids a container has. In Docker's words."""

from collections.abc import Iterator

from cove.engine.containers.container import Container
from cove.errors import Conflict, InvalidArgument
from cove.wire.config import Config
from cove.wire.host_config import HostConfig

OF_CONTAINER = "container:"

_KINDS = (
    ("ipc_mode", "IPC", ("", "none", "private", "shareable", "host"), True),
    ("pid_mode", "PID", ("", "host"), True),
    ("uts_mode", "UTS", ("", "host"), False),
    ("userns_mode", "user namespace", ("", "host"), False),
    ("cgroupns_mode", "cgroup namespace", ("", "host", "private"), False),
)
"""Field, word in errors, what may be said, and whether another container may be named."""

_SHARED_IPC = ("shareable", "host")


def check(config: Config, host: HostConfig) -> None:
    """Raises InvalidArgument for modes that do not exist, and for settings that another one's network decides."""
    for field, word, plain, joins in _KINDS:
        mode = getattr(host, field)
        if mode not in plain and not (joins and mode.removeprefix(OF_CONTAINER) not in ("", mode)):
            raise InvalidArgument(f"invalid {word} mode: {mode}")
    if host.network_mode == OF_CONTAINER:
        raise InvalidArgument("Invalid network mode: invalid container format container:<name|id>")
    if host.uts_mode == "host" and config.hostname:
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    for conflict in _conflicts(config, host):
        raise InvalidArgument(f"conflicting options: {conflict}")


def _conflicts(config: Config, host: HostConfig) -> Iterator[str]:
    if host.network_mode == "host" and host.links:
        yield "host type networking can't be used with links. This would result in undefined behavior"
    if not host.network_mode.startswith(OF_CONTAINER):
        return
    if config.hostname:
        yield "hostname and the network mode"
    if host.links:
        yield "container type network can't be used with links. This would result in undefined behavior"
    if host.dns:
        yield "dns and the network mode"
    if host.extra_hosts:
        yield "custom host-to-IP mapping and the network mode"
    if config.mac_address:
        yield "mac-address and the network mode"
    if host.port_bindings or host.publish_all_ports:
        yield "port publishing and the container type network mode"
    if config.exposed_ports:
        yield "port exposing and the container type network mode"


def joined(mode: str) -> str:
    """The container that a mode names, or ""."""
    return mode.removeprefix(OF_CONTAINER) if mode.startswith(OF_CONTAINER) else ""


def check_joins(kind: str, other: Container) -> None:
    """Whether a namespace (``network``, ``ipc``, ``pid``) of a container can be joined now. Raises Conflict."""
    if kind == "ipc":
        _check_ipc(other)
    elif not other.running:
        words = {
            "pid": f"container {other.id} is not running",
            "network": f"cannot join network of a non running container: {other.id}",
        }
        raise Conflict(words[kind])


def _check_ipc(other: Container) -> None:
    words = f"can't join IPC of container {other.id}"
    if not other.running:
        raise Conflict(f"{words}: container {other.id} is not running")
    mode = other.record.host_config.ipc_mode
    if mode not in _SHARED_IPC and not joined(mode):
        raise Conflict(f"{words}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)")
