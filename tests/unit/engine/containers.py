"""Containers as tests need them: small, with what matters to the test."""

from pathlib import Path
from typing import Any

from cove.engine.containers.container import Container, Paths
from cove.engine.containers.record import MountPoint, Record, State
from cove.wire.config import Config
from cove.wire.host_config import HostConfig
from cove.wire.networks import NetworkingConfig


def record(container_id: str = "c" * 64, name: str = "name", **changes: Any) -> Record:
    """``changes``: of the Record; ``config`` and ``host`` may be dictionaries of fields."""
    config = Config(**{"cmd": ["true"], **changes.pop("config", {})})
    host = HostConfig(**changes.pop("host", {}))
    state = State(**changes.pop("state", {}))
    mounts: list[MountPoint] = changes.pop("mounts", [])
    fields: dict[str, Any] = {"created": 0, "image": "sha256:1", "image_name": "busybox", **changes}
    return Record(
        id=container_id,
        name=name,
        config=config,
        host_config=host,
        networking=fields.pop("networking", NetworkingConfig()),
        mounts=mounts,
        state=state,
        **fields,
    )


def container(container_id: str = "c" * 64, name: str = "name", **changes: Any) -> Container:
    """Inside a running loop only."""
    return Container(
        record(container_id, name, **changes), Paths(Path("/data", container_id), Path("/run", container_id))
    )
