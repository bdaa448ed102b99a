"""The ``cove run`` that makes a container again, quoted for a shell."""

from __future__ import annotations

import shlex

from cove.cli.recreation.attached import attached
from cove.cli.recreation.settings import program, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def command_line(found: dict[str, Any], image: dict[str, Any]) -> str:
    """``found``: an inspection; ``image``: the ``Config`` of its image, {} when that is gone."""
    config = found["Config"]
    words = ["cove", "run"]
    if not (config.get("AttachStdout") or config.get("AttachStderr")):
        words.append("--detach")
    for setting in (*settings(found, image), *attached(found, image)):
        words += setting.words
    entrypoint, command = program(found, image)
    if entrypoint is not None:
        words += ["--entrypoint", entrypoint[0]]
        command = [*entrypoint[1:], *command]
    return shlex.join([*words, config["Image"], *command])
