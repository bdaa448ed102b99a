"""Requests for devices by what they are: CDI names, and GPUs (``--gpus``), which are CDI devices too."""

import asyncio
import json
from collections.abc import Sequence

from cove.cdi import Catalog, Edits, Unresolvable, resolve
from cove.errors import CoveError, InvalidArgument
from cove.wire.host_config import DeviceRequest, HostConfig
from cove.wire.system import Device

NVIDIA = "nvidia.com/gpu"
VENDORS = {
    NVIDIA: frozenset("gpu nvidia compute compat32 graphics utility video display".split()),
    "amd.com/gpu": frozenset({"gpu", "amd"}),
}
"""Kinds of GPUs in the order in which they are tried, and the capabilities that may be asked of each."""

_DRIVERS = {"": tuple(VENDORS), "nvidia": (NVIDIA,), "nvidia.cdi": (NVIDIA,)}
"""Kinds that a driver's name stands for."""


class DeviceRequests:
    """Answers ``HostConfig.DeviceRequests`` from the files of the CDI directories. Free for containers without."""

    def __init__(self, directories: Sequence[str]) -> None:
        self._catalog = _catalog(directories)

    def configure(self, directories: Sequence[str]) -> None:
        """Go by these from now on."""
        fresh = _catalog(directories)
        if fresh.directories != self._catalog.directories:
            self._catalog = fresh

    @property
    def directories(self) -> tuple[str, ...]:
        return self._catalog.directories

    async def prepare(self, host: HostConfig) -> None:
        """Read what changed in the directories, beside the loop, when the container wants devices of them."""
        if host.device_requests:
            await asyncio.to_thread(self._catalog.refresh)

    def edits(self, host: HostConfig) -> Edits | None:
        """What the container's devices change; after ``prepare``. Raises in Docker's words what cannot be had."""
        if not host.device_requests:
            return None
        names = [name for request in host.device_requests for name in self._names(request)]
        try:
            return resolve(self._catalog.edits(names))
        except Unresolvable as error:
            raise Unresolvable(f"CDI device injection failed: {error.message}") from None
        except CoveError as error:
            raise type(error)(f"CDI device injection failed: failed to inject devices: {error.message}") from None

    async def discovered(self) -> list[Device]:
        """Every device that may be named, by the newest files."""
        await asyncio.to_thread(self._catalog.refresh)
        return [Device(source="cdi", id=name) for name in self._catalog.names()]

    async def chosen(self, wanted: Sequence[tuple[str, bool]]) -> list[str]:
        """Names of devices for names or kinds, of which the first device is meant. The flag: it has to be there."""
        if not wanted:
            return []
        await asyncio.to_thread(self._catalog.refresh)
        present = self._catalog.names()
        found = []
        for name, required in wanted:
            known = [each for each in present if each == name or each.startswith(f"{name}=")]
            found += known[:1] or ([name] if required else [])
        return found

    def warnings(self) -> list[str]:
        """What is wrong with files, as of the last look."""
        return [f"CDI: Error associated with spec file {path}: {why}" for path, why in self._catalog.problems()]

    def _names(self, request: DeviceRequest) -> list[str]:
        if request.driver == "cdi" and self.directories:
            return _named(request)
        for kind in _DRIVERS.get(request.driver, ()):
            if _matches(VENDORS[kind], request.capabilities) and (present := self._catalog.names(kind)):
                return _of_kind(kind, request, len(present))
        raise _incompatible(request)


def _catalog(directories: Sequence[str]) -> Catalog:
    return Catalog([directory for directory in directories if directory])


def _named(request: DeviceRequest) -> list[str]:
    if request.count:
        raise InvalidArgument("unexpected count in CDI device request")
    if request.options:
        raise InvalidArgument("unexpected options in CDI device request")
    return list(request.device_ids or [])


def _matches(can: frozenset[str], wanted: list[list[str]] | None) -> bool:
    """Whether one of the lists of capabilities is there in whole."""
    return any(can.issuperset(every) for every in wanted or [])


def _of_kind(kind: str, request: DeviceRequest, present: int) -> list[str]:
    """Names of the devices of a kind. A count means the numbers from 0; one more than there are is enough to fail."""
    if request.count and request.device_ids:
        raise InvalidArgument("cannot set both Count and DeviceIDs on device request")
    numbers = ["all"] if request.count < 0 else [str(number) for number in range(min(request.count, present + 1))]
    return [name if "=" in name else f"{kind}={name}" for name in request.device_ids or numbers]


def _incompatible(request: DeviceRequest) -> InvalidArgument:
    lists = " ".join(f"[{' '.join(every)}]" for every in request.capabilities or [])
    return InvalidArgument(f"could not select device driver {json.dumps(request.driver)} with capabilities: [{lists}]")
