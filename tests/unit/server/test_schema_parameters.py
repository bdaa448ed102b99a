"""Every parameter of a request that the Engine API's schema names is read by the route that it is for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cove.server.request import Request
from harness.waiting import eventually

SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "engine-api" / "v1.56.json").read_text())
GROUPS = ("/containers", "/exec", "/events", "/info", "/version", "/system", "/auth", "/_ping", "/commit", "/networks")
LOOKED_UP = ("/containers/{id}/logs", "/containers/{id}/attach", "/containers/{id}/attach/ws")
"""Where a container is looked up before all parameters are."""

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {'A' * 22}==")
BODIES = {"/containers/create": b'{"Image": "a"}', "/networks/create": b'{"Name": "a"}'}


def operations() -> Iterator[tuple[str, str, list[str]]]:
    for path, methods in SCHEMA["paths"].items():
        for method, operation in methods.items() if path.startswith(GROUPS) else ():
            parameters = operation.get("parameters", ())
            yield method.upper(), path, sorted(one["name"] for one in parameters if one["in"] == "query")


@pytest.mark.parametrize(("method", "path", "parameters"), list(operations()), ids=lambda value: str(value)[:40])
def test_a_route_reads_its_parameters(
    api: Any, monkeypatch: pytest.MonkeyPatch, method: str, path: str, parameters: list[str]
) -> None:
    read: set[str] = set()
    texts = Request.texts

    def noting(request: Request, name: str) -> list[str]:
        read.add(name)
        return texts(request, name)

    monkeypatch.setattr(Request, "texts", noting)
    target = path.replace("{id}", api.run("echo", "a") if path in LOOKED_UP else "nonesuch")
    query = urlencode(dict.fromkeys(parameters, "1"))
    with api.client() as client:
        client.send(method, f"{target}?{query}", BODIES.get(path, b""), *(UPGRADE if path.endswith("/ws") else ()))
        client.head()
        eventually(lambda: set(parameters) - read, lambda missing: not missing)
