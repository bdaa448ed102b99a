"""A build's graph as provenance tells of it: steps in the shape of BuildKit's, their lines and layers. Pure."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cove.build.planning.graph import CopyFiles, Given, MakeDirectory, Origin, Remote, Result, Root, Run, Vertex
from cove.build.planning.recipe import Recipe


@dataclass(frozen=True)
class Described:
    """``definition``: of the steps. ``source``: the Dockerfile, and where in it each step is. ``layers``: by step."""

    definition: dict[str, Any]
    source: dict[str, Any]
    layers: dict[str, Any]


def described(recipe: Recipe, results: Mapping[Vertex, Result], filename: str, text: bytes) -> Described:
    """What led to the target. ``results``: of its vertices, once they are solved."""
    order = _order(recipe.target.root)
    names = {vertex: f"step{number}" for number, vertex in enumerate(order)}
    steps = [_step(vertex, names) for vertex in order]
    last = {"id": f"step{len(steps)}", "inputs": [f"step{len(steps) - 1}:0"], "op": {"Op": {}, "constraints": {}}}
    mapping = {_digest(step): step["id"] for step in [*steps, last]}
    lines = {step.vertex: step.line for stage in recipe.stages for step in stage.steps if step.vertex is not None}
    info = {"filename": filename, "language": "Dockerfile", "data": base64.b64encode(text).decode()}
    locations = {name: _location(lines[vertex]) if lines.get(vertex) else {} for vertex, name in names.items()}
    layers = {
        f"{names[vertex]}:0": [[_layer(layer) for layer in root.layers]]
        for vertex in reversed(recipe.target.path)
        if isinstance(root := results.get(vertex), Root) and root.layers
    }
    return Described(
        {"llbDefinition": [*steps, last], "digestMapping": mapping},
        {"locations": locations, "infos": [info]},
        layers,
    )


def _order(target: Vertex) -> list[Vertex]:
    """All vertices that it needs, and it, each after its inputs."""
    found: dict[Vertex, None] = {}
    todo = [(target, False)]
    while todo:
        vertex, visited = todo.pop()
        if visited:
            found[vertex] = None
        elif vertex not in found:
            todo.append((vertex, True))
            todo += [(other, False) for other in reversed(vertex.inputs)]
    return list(found)


def _step(vertex: Vertex, names: Mapping[Vertex, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"id": names[vertex]}
    if vertex.inputs:
        made["inputs"] = [f"{names[other]}:0" for other in vertex.inputs]
    made["op"] = {"Op": _operation(vertex), "constraints": {}}
    if vertex.platform:
        system, _, rest = vertex.platform.partition("/")
        architecture, _, variant = rest.partition("/")
        made["op"]["platform"] = {
            "OS": system,
            "Architecture": architecture,
            **({"Variant": variant} if variant else {}),
        }
    return made


def _operation(vertex: Vertex) -> dict[str, Any]:
    operation = vertex.operation
    match operation:
        case Given():
            return {"source": {"identifier": _identifier(vertex, operation)}}
        case Remote():
            return {"source": {"identifier": Origin.of(operation.url).url}}
        case Run():
            return {"exec": _run(operation)}
        case MakeDirectory():
            made = {"path": operation.path, "mode": 0o755, "makeParents": True, "timestamp": -1}
            made |= {"owner": operation.owner} if operation.owner else {}
            return {"file": {"actions": [{"Action": {"mkdir": made}, "input": 0, "output": 0}]}}
        case CopyFiles():
            return {"file": {"actions": [_copy(operation, number) for number in range(len(operation.sources))]}}


def _identifier(vertex: Vertex, given: Given) -> str:
    if isinstance(given.result, Root):
        return (
            f"docker-image://{vertex.name.removeprefix('FROM ')}@{given.identity}" if given.result.layers else "scratch"
        )
    name = vertex.name.removeprefix("[context] ")
    return f"local://{'context' if name == 'build' else name}"


def _run(run: Run) -> dict[str, Any]:
    environment = [entry for entry in run.environment if entry.partition("=")[0] not in run.unkeyed]
    meta = {"args": list(run.arguments), "env": environment, "cwd": run.directory}
    if run.user:
        meta["user"] = run.user
    mounts: list[dict[str, Any]] = [{"dest": "/"}]
    for mount in run.mounts:
        about = {"dest": mount.target, "mountType": mount.type.upper(), "input": mount.input}
        mounts.append({**about, **({"selector": mount.source} if mount.source else {}), "readonly": mount.readonly})
    return {"meta": meta, "mounts": mounts, **({"security": "INSECURE"} if run.insecure else {})}


def _copy(copy: CopyFiles, number: int) -> dict[str, Any]:
    source = copy.sources[number]
    if source.content is not None:
        data = base64.b64encode(source.content).decode()
        made = {"path": f"{copy.destination.rstrip('/')}/{source.name}", "mode": 0o644, "data": data, "timestamp": -1}
        return {"Action": {"mkfile": made}, "input": 0, "output": 0}
    said: dict[str, Any] = {
        "src": f"/{source.path}",
        "dest": copy.destination + ("/" if copy.directory and copy.destination != "/" else ""),
        "mode": int(copy.mode, 8) if copy.mode.isdecimal() else -1,
        "allowWildcard": bool(source.expression),
        "attemptUnpackDockerCompatibility": source.unpack,
        "createDestPath": True,
        "followSymlink": True,
        "timestamp": -1,
    }
    if copy.owner:
        said["owner"] = copy.owner
    return {"Action": {"copy": said}, "input": 0, "secondaryInput": source.input, "output": 0}


def _location(line: int) -> dict[str, Any]:
    return {"locations": [{"ranges": [{"start": {"line": line}, "end": {"line": line}}]}]}


def _layer(layer: Any) -> dict[str, Any]:
    blob = layer.blob
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}


def _digest(step: Mapping[str, Any]) -> str:
    return f"sha256:{hashlib.sha256(msgspec.json.encode(step)).hexdigest()}"
