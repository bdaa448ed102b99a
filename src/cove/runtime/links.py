"""The links of a container's network namespace, from the inside: set up, removed, default routes moved."""

from __future__ import annotations

import errno
import os

from cove.kernel import mounts
from cove.kernel.announcing import announce
from cove.kernel.netlink import Route
from cove.lean import TYPE_CHECKING, suppress

if TYPE_CHECKING:
    from cove.runtime.messages import ConfigureNetwork, Interface

FAMILIES = (4, 6)


def set_up(interfaces: list[Interface]) -> None:
    """Set up the links of the network namespace that this process is in, lo included; one exchange with the kernel.

    Raises OSError with the step that was refused.
    """
    _set_sysctls(interfaces)
    with Route() as route:
        route.set_up("lo")
        _add(route, interfaces)
        route.commit()
    _announce(interfaces)


def change(wanted: ConfigureNetwork) -> None:
    """Carry out ConfigureNetwork in the network namespace that this process is in. Raises OSError."""
    with Route() as route:
        for name in wanted.removed:
            route.delete_link(name)
        route.commit()
        _set_sysctls(wanted.interfaces)
        _add(route, wanted.interfaces)
        route.commit()
        for version, default in zip(FAMILIES, wanted.routes, strict=True):
            if default is None:
                route.delete_default_route(version)
            else:
                route.replace_default_route(default["link"], default["gateway"])
        route.commit()
    _announce(wanted.interfaces)


def _add(route: Route, interfaces: list[Interface]) -> None:
    for interface in interfaces:
        for address in interface["addresses"]:
            route.add_address(interface["name"], address)
        route.set_up(interface["name"])
        for subnet, by in interface.get("routes", []):
            route.add_route(interface["name"], subnet, by)
    for interface in interfaces:
        for gateway in (interface["gateway4"], interface["gateway6"]):
            if gateway:
                route.add_default_route(interface["name"], gateway)


def _announce(interfaces: list[Interface]) -> None:
    """As far as the link lets us: a link that takes no frames yet has no neighbours that remember it."""
    for interface in interfaces:
        if interface.get("announce"):
            with suppress(OSError):
                announce(interface["name"], interface["addresses"])


def _set_sysctls(interfaces: list[Interface]) -> None:
    for interface in interfaces:
        for name, value in interface.get("sysctls", {}).items():
            try:
                _write("/proc/sys/" + name.removeprefix("-"), value)
            except FileNotFoundError:
                if not name.startswith("-"):
                    raise


def _write(path: str, value: str) -> None:
    """Below /proc, which has to be the real one: in a container it could be something that was mounted there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise OSError(error.errno, f"open {path}: {os.strerror(error.errno or 0).lower()}") from None
    try:
        if mounts.file_system_magic(descriptor) != mounts.PROC_MAGIC:
            raise OSError(errno.EXDEV, f"{path} is not on the real proc file system")
        os.write(descriptor, value.encode())
    except OSError as error:
        raise OSError(error.errno, f"write {path}: {os.strerror(error.errno or 0).lower()}") from None
    finally:
        os.close(descriptor)
