"""The system call filter of a configuration: compiled once for all containers that have the same, as most have."""

from __future__ import annotations

import os

from cove.lean import TYPE_CHECKING, json, suppress
from cove.lean.hashes import blake2b
from cove.oci.runtime import Seccomp
from cove.runtime.command.container import Failed

if TYPE_CHECKING:
    from cove.runtime.messages import SeccompFilter

DIRECTORY = "@filters"
"""Below the root of what is kept; no container can have this name."""

KEPT = 16
"""Filters kept below a root; when there is one more, the one that was made first goes."""


def filter_of(root: str, wanted: Seccomp, directory: str) -> SeccompFilter:
    """The filter of ``linux.seccomp``, with its program in a file of the container's own ``directory``.

    Raises Failed naming what is wrong, OSError.
    """
    base = f"{root}/{DIRECTORY}/{blake2b(json.sorted_dumps(wanted).encode(), digest_size=32).hexdigest()}"
    own = f"{directory}/filter.bpf"
    try:
        os.link(f"{base}.bpf", own)
        with open(f"{base}.json", "rb") as file:
            found: SeccompFilter = json.loads(file.read())
    except (OSError, ValueError):
        found = _compile(wanted, own)
        _keep(found, base)
    return {**found, "program": own}


def _compile(wanted: Seccomp, path: str) -> SeccompFilter:
    from cove.errors import InvalidArgument
    from cove.seccomp.compiler import compile_filter

    try:
        made = compile_filter(wanted, os.uname().machine)
    except (InvalidArgument, KeyError, TypeError) as error:
        raise Failed(f"linux.seccomp: {error}") from None
    _write(path, made.program)
    return {"program": path, "flags": made.flags, "listener": made.listener, "metadata": made.metadata}


def _keep(filter_: SeccompFilter, base: str) -> None:
    """For the next container with the same configuration; the program before what says that it is there."""
    directory = os.path.dirname(base)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.link(filter_["program"], f"{base}.bpf")
    _write(f"{base}.json", json.dumps(filter_).encode())
    kept = sorted(
        (entry.stat().st_mtime_ns, entry.path) for entry in os.scandir(directory) if entry.name.endswith(".bpf")
    )
    for _made, path in kept[:-KEPT]:
        for gone in (path.removesuffix("bpf") + "json", path):
            with suppress(FileNotFoundError):
                os.unlink(gone)


def _write(path: str, content: bytes) -> None:
    """Whole or not at all: others may look for it at the same time, or have the file that was there."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(content)
    os.rename(temporary, path)
