"""Compiled filters on disk, one file for each profile and set of capabilities, shared by all containers."""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cove.oci.runtime import Seccomp
from cove.seccomp.compiler import Filter, compile_filter
from cove.seccomp.default import DEFAULT
from cove.seccomp.profile import Profile, Setting, decode, select

BUILTIN = "builtin"
"""In the place of a profile's text: our default."""


class Compiled(NamedTuple):
    """``path``: of the file that ``kernel.seccomp`` loads. ``selected``: what it was compiled from."""

    path: str
    filter: Filter
    selected: Seccomp


class Filters:
    """Compiles each once. ``directory`` may be emptied while no container is starting; nothing else is lost by it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[tuple[str, tuple[str, ...]], Compiled | None] = {}

    def known(self, profile: str, capabilities: Sequence[str]) -> bool:
        """Whether ``get`` has nothing to compile."""
        return (profile, tuple(capabilities)) in self._known

    def get(self, profile: str, capabilities: Sequence[str]) -> Compiled | None:
        """The filter of a profile's text (or BUILTIN) for a bounding set; None when the profile asks for none.

        Raises InvalidArgument in Docker's words, OSError.
        """
        key = (profile, tuple(capabilities))
        if key not in self._known:
            self._known[key] = self._make(profile, capabilities)
        return self._known[key]

    def _make(self, profile: str, capabilities: Sequence[str]) -> Compiled | None:
        machine = os.uname()
        read: Profile = DEFAULT if profile == BUILTIN else decode(profile)
        selected = select(read, Setting(machine.machine, machine.release, frozenset(capabilities)))
        if selected is None:
            return None
        compiled = compile_filter(selected, machine.machine)
        path = self._directory / f"{hashlib.sha256(compiled.program).hexdigest()}.bpf"
        if not _holds(path, compiled.program):
            _write(path, compiled.program)
        return Compiled(str(path), compiled, selected)


def _holds(path: Path, program: bytes) -> bool:
    try:
        return path.read_bytes() == program
    except OSError:
        return False


def _write(path: Path, program: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_suffix(".new")
    try:
        temporary.write_bytes(program)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
