"""Our types have every field of the Engine API's schema, with the same kind of value."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from cove.wire import config, containers, events, execs, host_config, images, networks, stats, system, volumes
from cove.wire.base import Wire

SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "engine-api" / "v1.56.json").read_text())

NAMED: dict[str, type[Wire]] = {
    "AuthConfig": images.AuthConfig,
    "AuthResponse": system.AuthResponse,
    "Commit": system.Commit,
    "ConfigReference": networks.ConfigReference,
    "ContainerBlkioStatEntry": stats.BlkioEntry,
    "ContainerBlkioStats": stats.BlkioStats,
    "ContainerConfig": config.Config,
    "ContainerCPUStats": stats.CPUStats,
    "ContainerCPUUsage": stats.CPUUsage,
    "ContainerCreateResponse": containers.ContainerCreated,
    "ContainerInspectResponse": containers.ContainerInspect,
    "ContainerMemoryStats": stats.MemoryStats,
    "ContainerNetworkStats": stats.NetworkStats,
    "ContainerPidsStats": stats.PidsStats,
    "ContainersDiskUsage": system.ContainersUsage,
    "ContainerState": containers.ContainerState,
    "ContainerStatsResponse": stats.Stats,
    "ContainerSummary": containers.ContainerSummary,
    "ContainerThrottlingData": stats.ThrottlingData,
    "ContainerTopResponse": containers.ContainerTop,
    "ContainerUpdateResponse": containers.ContainerUpdated,
    "ContainerWaitExitError": containers.WaitError,
    "ContainerWaitResponse": containers.ContainerWait,
    "DeviceInfo": system.Device,
    "DeviceMapping": host_config.DeviceMapping,
    "DeviceRequest": host_config.DeviceRequest,
    "DriverData": images.DriverData,
    "EndpointIPAMConfig": networks.EndpointIPAMConfig,
    "EndpointResource": networks.EndpointResource,
    "EndpointSettings": networks.EndpointSettings,
    "EventActor": events.Actor,
    "EventMessage": events.Event,
    "FilesystemChange": containers.Change,
    "FirewallInfo": system.Firewall,
    "Health": containers.Health,
    "HealthcheckResult": containers.HealthcheckResult,
    "HealthConfig": config.HealthConfig,
    "HostConfig": host_config.HostConfig,
    "ImageDeleteResponseItem": images.ImageDeleted,
    "ImageInspect": images.ImageInspect,
    "ImagesDiskUsage": system.ImagesUsage,
    "ImageSummary": images.ImageSummary,
    "IndexInfo": system.IndexInfo,
    "IPAM": networks.IPAM,
    "IPAMConfig": networks.IPAMConfig,
    "IPAMStatus": networks.IPAMStatus,
    "Mount": host_config.Mount,
    "MountPoint": containers.MountPoint,
    "NetworkConnectRequest": networks.NetworkConnect,
    "NetworkCreateResponse": networks.NetworkCreated,
    "NetworkDisconnectRequest": networks.NetworkDisconnect,
    "NetworkingConfig": networks.NetworkingConfig,
    "NetworkInspect": networks.Network,
    "NetworkSettings": containers.NetworkSettings,
    "PluginsInfo": system.Plugins,
    "PortBinding": host_config.PortBinding,
    "ProcessConfig": execs.ExecProcess,
    "RegistryServiceConfig": system.RegistryConfig,
    "Resources": host_config.HostConfig,
    "RestartPolicy": host_config.RestartPolicy,
    "Runtime": system.Runtime,
    "SubnetStatus": networks.SubnetStatus,
    "SwarmInfo": system.Swarm,
    "SystemInfo": system.Info,
    "SystemVersion": system.Version,
    "ThrottleDevice": host_config.ThrottleDevice,
    "Volume": volumes.Volume,
    "VolumeCreateRequest": volumes.VolumeCreate,
    "VolumeListResponse": volumes.VolumeList,
    "VolumesDiskUsage": system.VolumesUsage,
}

BODIES: dict[tuple[str, str], type[Wire]] = {
    ("/containers/create", "post"): containers.ContainerCreate,
    ("/containers/{id}/update", "post"): containers.ContainerUpdate,
    ("/containers/{id}/exec", "post"): execs.ExecCreate,
    ("/exec/{id}/start", "post"): execs.ExecStart,
    ("/networks/create", "post"): networks.NetworkCreate,
    ("/networks/{id}/connect", "post"): networks.NetworkConnect,
    ("/networks/{id}/disconnect", "post"): networks.NetworkDisconnect,
    ("/volumes/create", "post"): volumes.VolumeCreate,
    ("/commit", "post"): config.Config,
}

ANSWERS: dict[tuple[str, str], type[Wire]] = {
    ("/containers/prune", "post"): containers.ContainersPruned,
    ("/images/prune", "post"): images.ImagesPruned,
    ("/volumes/prune", "post"): volumes.VolumesPruned,
    ("/networks/prune", "post"): networks.NetworksPruned,
    ("/exec/{id}/json", "get"): execs.ExecInspect,
    ("/system/df", "get"): system.DiskUsage,
}

ABSENT = {
    "ClusterVolume": "volumes of a cluster need a swarm",
    "ClusterVolumeSpec": "volumes of a cluster need a swarm",
    "Containerd": "there is no containerd",
    "NRI": "there is no NRI",
    "commitbytes": "of Windows",
    "commitpeakbytes": "of Windows",
    "privateworkingset": "of Windows",
    "endpoint_id": "of Windows",
    "instance_id": "of Windows",
}

UNCHANGEABLE = {"post /containers/{id}/update": {"Init"}}
"""What the schema has among the limits, and Docker does not change."""

KINDS: dict[str, tuple[type, ...]] = {
    "string": (inspect.StrType, inspect.LiteralType),
    "integer": (inspect.IntType,),
    "number": (inspect.IntType, inspect.FloatType),
    "boolean": (inspect.BoolType,),
    "array": (inspect.ListType,),
    "object": (inspect.DictType, inspect.StructType, inspect.AnyType),
}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference leads to, with what it is made of in its own properties."""
    if "$ref" in schema:
        return resolved(SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]])
    properties: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        properties |= resolved(part).get("properties", {})
    return {**schema, "properties": properties | schema.get("properties", {})}


def cases() -> Iterator[tuple[str, dict[str, Any], type[Wire]]]:
    for name, kind in NAMED.items():
        yield name, SCHEMA["definitions"][name], kind
    for (path, method), kind in BODIES.items():
        parameters = SCHEMA["paths"][path][method]["parameters"]
        yield f"{method} {path}", next(one["schema"] for one in parameters if one["in"] == "body"), kind
    for (path, method), kind in ANSWERS.items():
        yield f"{method} {path}", SCHEMA["paths"][path][method]["responses"]["200"]["schema"], kind


@pytest.mark.parametrize(("name", "schema", "kind"), list(cases()), ids=lambda value: str(value)[:60])
def test_a_type_has_the_fields_of_the_schema(name: str, schema: dict[str, Any], kind: type[Wire]) -> None:
    found = resolved(schema)["properties"]
    assert found, name
    fields = {field.encode_name: field.type for field in inspect.type_info(kind).fields}  # type: ignore[attr-defined]
    missing = set(found) - set(fields) - set(ABSENT) - UNCHANGEABLE.get(name, set())
    assert not missing
    wrong = {key: fields[key] for key in set(found) & set(fields) if not fits(found[key], fields[key])}
    assert not wrong


def fits(schema: dict[str, Any], node: inspect.Type) -> bool:
    if isinstance(node, inspect.UnionType):
        return any(fits(schema, option) for option in node.types)
    schema = resolved(schema)
    kind = schema.get("type") or ("object" if schema["properties"] else None)
    return kind is None or isinstance(node, (*KINDS[kind], inspect.AnyType))


def test_what_is_called_absent_is() -> None:
    everything = {field.encode_name for kind in NAMED.values() for field in msgspec.structs.fields(kind)}
    assert not set(ABSENT) & everything
