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
    ("/auth", "post"): images.AuthConfig,
}

ANSWERS: dict[tuple[str, str], type[Wire]] = {
    ("/auth", "post"): system.AuthResponse,
    ("/containers/json", "get"): containers.ContainerSummary,
    ("/containers/create", "post"): containers.ContainerCreated,
    ("/containers/{id}/json", "get"): containers.ContainerInspect,
    ("/containers/{id}/top", "get"): containers.ContainerTop,
    ("/containers/{id}/changes", "get"): containers.Change,
    ("/containers/{id}/stats", "get"): stats.Stats,
    ("/containers/{id}/update", "post"): containers.ContainerUpdated,
    ("/containers/{id}/wait", "post"): containers.ContainerWait,
    ("/containers/{id}/exec", "post"): execs.ExecCreated,
    ("/events", "get"): events.Event,
    ("/info", "get"): system.Info,
    ("/networks", "get"): networks.Network,
    ("/networks/{id}", "get"): networks.Network,
    ("/networks/create", "post"): networks.NetworkCreated,
    ("/version", "get"): system.Version,
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
    "data": "descriptors of what is here have none of the content in them",
    "endpoint_id": "of Windows",
    "instance_id": "of Windows",
}

GROUPS = ("/containers", "/exec", "/events", "/info", "/version", "/system", "/auth", "/_ping", "/commit", "/networks")

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
        yield f"{method} {path}", answer(path, method), kind


def answer(path: str, method: str) -> Any:
    """The schema of what an operation answers with when it succeeds; of an item when that is a list."""
    responses = SCHEMA["paths"][path][method]["responses"]
    schema = next((responses[code].get("schema") for code in ("200", "201") if code in responses), None)
    return schema["items"] if schema and schema.get("type") == "array" else schema


def test_every_body_and_answer_is_compared() -> None:
    """Of what is about containers, execs, networks and the system."""
    for path, methods in SCHEMA["paths"].items():
        for method, operation in methods.items() if path.startswith(GROUPS) else ():
            bodies = [one["schema"] for one in operation.get("parameters", ()) if one["in"] == "body"]
            if any(resolved(body)["properties"] for body in bodies):
                assert (path, method) in BODIES, (path, method)
            given = answer(path, method)
            if given and resolved(given)["properties"]:
                assert (path, method) in ANSWERS or given == {"$ref": "#/definitions/IDResponse"}, (path, method)


@pytest.mark.parametrize(("name", "schema", "kind"), list(cases()), ids=lambda value: str(value)[:60])
def test_a_type_has_the_fields_of_the_schema(name: str, schema: dict[str, Any], kind: type[Wire]) -> None:
    assert resolved(schema)["properties"], name
    assert not list(lacking(name, schema, inspect.type_info(kind)))


def lacking(where: str, schema: dict[str, Any], node: inspect.Type) -> Iterator[str]:
    """Fields of the schema, at whatever depth, that the type has not, or with another kind of value."""
    schema, options = resolved(schema), node.types if isinstance(node, inspect.UnionType) else (node,)
    if not any(fits(schema, option) for option in options):
        yield f"{where} is {node}"
    for option in options:
        if isinstance(option, inspect.StructType):
            fields = {field.encode_name: field.type for field in option.fields}
            for key in set(schema["properties"]) - set(ABSENT) - UNCHANGEABLE.get(where, set()):
                if key in fields:
                    yield from lacking(f"{where} {key}", schema["properties"][key], fields[key])
                else:
                    yield f"{where} {key} is missing"
        elif isinstance(option, inspect.ListType) and "items" in schema:
            yield from lacking(f"{where} []", schema["items"], option.item_type)
        elif isinstance(option, inspect.DictType) and isinstance(schema.get("additionalProperties"), dict):
            yield from lacking(f"{where} {{}}", schema["additionalProperties"], option.value_type)


def fits(schema: dict[str, Any], node: inspect.Type) -> bool:
    if isinstance(node, inspect.UnionType):
        return any(fits(schema, option) for option in node.types)
    schema = resolved(schema)
    kind = schema.get("type") or ("object" if schema["properties"] else None)
    return kind is None or isinstance(node, (*KINDS[kind], inspect.AnyType))


def test_what_is_called_absent_is() -> None:
    everything = {field.encode_name for kind in NAMED.values() for field in msgspec.structs.fields(kind)}
    assert not set(ABSENT) & everything
