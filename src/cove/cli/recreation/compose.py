"""The compose file that makes containers again.

It is written by hand, not with a YAML library: every scalar is one of JSON, which YAML contains, and the library takes
longer to import than the whole command takes to run. ``$`` is doubled, as compose would replace it.
"""

from __future__ import annotations

import json
import re

from cove.cli.recreation.attached import attached
from cove.cli.recreation.settings import program, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Found = dict[str, Any]


def compose_file(containers: list[tuple[Found, Found]]) -> str:
    """``containers``: inspections, each with the ``Config`` of its image."""
    services = {_service_name(found): _service(found, image) for found, image in containers}
    whole: Found = {"services": services}
    networks = {name for service in services.values() for name in service.get("networks", {})}
    volumes = {name for service in services.values() for name in _named(service.get("volumes", []))}
    for key, names in (("networks", networks), ("volumes", volumes)):
        if names:
            whole[key] = {name: {"name": name, "external": True} for name in sorted(names)}
    return "\n".join(_block(whole, 0)) + "\n"


def _service_name(found: Found) -> str:
    return re.sub("[^a-zA-Z0-9._-]", "-", found["Name"].removeprefix("/"))


def _service(found: Found, image: Found) -> Found:
    made: Found = {"image": found["Config"]["Image"]}
    for setting in (*settings(found, image), *attached(found, image)):
        _join(made, setting.keys)
    entrypoint, command = program(found, image)
    if entrypoint is not None:
        made["entrypoint"] = [] if entrypoint == [""] else entrypoint
    if command:
        made["command"] = command
    return made


def _join(made: Found, more: Found) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(made.get(key), dict):
            _join(made[key], value)
        elif isinstance(value, list) and isinstance(made.get(key), list):
            made[key] = [*made[key], *value]
        else:
            made[key] = dict(value) if isinstance(value, dict) else value


def _named(volumes: list[Any]) -> Iterator[str]:
    for volume in volumes:
        if isinstance(volume, dict):
            if volume["type"] == "volume" and volume.get("source"):
                yield volume["source"]
        elif ":" in volume and not volume.startswith(("/", ".", "~")):
            yield volume.partition(":")[0]


def _block(value: Found, depth: int) -> Iterator[str]:
    pad = "  " * depth
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield f"{pad}{_key(key)}:"
            yield from _block(item, depth + 1)
        elif isinstance(item, list) and item:
            yield f"{pad}{_key(key)}:"
            yield from (f"{pad}  - {_scalar(each)}" for each in item)
        else:
            yield f"{pad}{_key(key)}: {_scalar(item)}"


def _key(text: str) -> str:
    """Bare when no reader of YAML takes it for anything but text."""
    plain = re.fullmatch("[a-zA-Z_][a-zA-Z0-9_.-]*", text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("$", "$$")
