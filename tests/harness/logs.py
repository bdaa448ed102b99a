"""A container's log as the shim writes it, without a shim."""

from pathlib import Path
from typing import Any

from cove.runtime.logs.container_log import ContainerLog
from cove.runtime.loop import Loop
from cove.runtime.messages import LogTarget

_loop = Loop()
"""For logs that wait for nothing."""


def log_target(path: Path, **changes: Any) -> LogTarget:
    plain: LogTarget = {"driver": "json-file", "path": str(path), "max_size": 0, "max_file": 0}
    return {**plain, **changes}  # type: ignore[typeddict-item]


def open_log(path: Path, loop: Loop = _loop, **changes: Any) -> ContainerLog:
    return ContainerLog(log_target(path, **changes), loop)
