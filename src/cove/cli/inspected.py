"""A JSON object as Go would see it in ``inspect --format``.

The API's answers are structs with maps in them: a field that a struct has and the answer left out is its zero value, a
key that a map lacks is no value, and any other name is an error. JSON does not tell the two apart; these tables do.
"""

from __future__ import annotations

from cove.template.values import NIL_MAP, NIL_POINTER, NIL_SLICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAPS = frozenset(
    "Annotations Containers Data DriverOpts ExposedPorts IPAMOptions Labels Networks Options PortBindings Ports"
    " Status StorageOpt Sysctls Tmpfs Volumes".split()
)
_POINTERS = frozenset(
    "BindOptions ClusterVolume Health Healthcheck IPAMConfig ImageManifestDescriptor Init MemorySwappiness"
    " OomKillDisable PidsLimit Platform SizeRootFs SizeRw StopTimeout TmpfsOptions UsageData VolumeOptions".split()
)
_OMITTED: dict[str, Any] = {
    "Annotations": NIL_MAP,
    "ArgsEscaped": False,
    "Author": "",
    "Comment": "",
    "ExposedPorts": NIL_MAP,
    "Health": NIL_POINTER,
    "Healthcheck": NIL_POINTER,
    "Init": NIL_POINTER,
    "Isolation": "",
    "MacAddress": "",
    "Mounts": NIL_SLICE,
    "NetworkDisabled": False,
    "OnBuild": NIL_SLICE,
    "Runtime": "",
    "Shell": NIL_SLICE,
    "SizeRootFs": NIL_POINTER,
    "SizeRw": NIL_POINTER,
    "Status": NIL_MAP,
    "StopSignal": "",
    "StopTimeout": NIL_POINTER,
    "StorageOpt": NIL_MAP,
    "Sysctls": NIL_MAP,
    "Tmpfs": NIL_MAP,
    "UsageData": NIL_POINTER,
    "Variant": "",
}


class GoMap(dict[str, object]):
    """An object whose keys are data, not fields."""


def lookup(value: dict[str, Any], name: str) -> Any:
    """The template engine's way into an inspected object. Raises LookupError for a field that cannot be."""
    if isinstance(value, GoMap):
        return value.get(name)
    if name not in value:
        if name in _OMITTED:
            return _OMITTED[name]
        raise LookupError(f'map has no entry for key "{name}"')
    found = value[name]
    if found is None:
        return NIL_MAP if name in _MAPS else NIL_POINTER if name in _POINTERS else NIL_SLICE
    if isinstance(found, dict) and (name in _MAPS or (name == "Config" and "Type" in value)):
        return GoMap(found)
    return found
