"""The system call filter of a configuration: compiled once for all containers that have the same, as most have."""

import hashlib
import json
import os

from cove.oci.runtime import Seccomp
from cove.runtime.command.container import Failed
from cove.runtime.messages import SeccompFilter

DIRECTORY = "@filters"
"""Below the root of what is kept; no container can have this name."""


def filter_of(root: str, wanted: Seccomp) -> SeccompFilter:
    """The filter of ``linux.seccomp``, with its program in a file. Raises Failed naming what is wrong, OSError."""
    text = json.dumps(wanted, sort_keys=True)
    base = f"{root}/{DIRECTORY}/{hashlib.sha256(text.encode()).hexdigest()}"
    try:
        with open(f"{base}.json", "rb") as file:
            found: SeccompFilter = json.loads(file.read())
    except (OSError, ValueError):
        return _compile(wanted, base)
    return found


def _compile(wanted: Seccomp, base: str) -> SeccompFilter:
    from cove.errors import InvalidArgument
    from cove.seccomp.compiler import compile_filter

    try:
        made = compile_filter(wanted, os.uname().machine)
    except (InvalidArgument, KeyError, TypeError) as error:
        raise Failed(f"linux.seccomp: {error}") from None
    kept: SeccompFilter = {
        "program": f"{base}.bpf",
        "flags": made.flags,
        "listener": made.listener,
        "metadata": made.metadata,
    }
    os.makedirs(os.path.dirname(base), mode=0o700, exist_ok=True)
    _write(kept["program"], made.program)
    _write(f"{base}.json", json.dumps(kept).encode())
    return kept


def _write(path: str, content: bytes) -> None:
    """Whole or not at all: others may look for it at the same time."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(content)
    os.rename(temporary, path)
