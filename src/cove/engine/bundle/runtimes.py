"""The OCI runtimes that a container may ask for: our own, configured ones, installed ones, a path."""

import os
import shutil
from collections.abc import Mapping
from typing import NamedTuple

from cove.errors import InvalidArgument
from cove.runtime.messages import ForeignRuntime

OWN = "cove"
_ALIAS = "io.containerd.runc.v2"
"""What clients of Docker call runc by its shim."""

_KNOWN = ("crun", "runc", "youki", "runsc")
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Program(NamedTuple):
    """``path``: of the runtime's command. ``arguments``: before every command's name."""

    path: str
    arguments: tuple[str, ...] = ()


class Runtimes:
    """``configured``: by name, the daemon's settings. ``default``: of containers that name none."""

    def __init__(self, configured: Mapping[str, Program], default: str = "") -> None:
        self.configure(configured, default)

    def configure(self, configured: Mapping[str, Program], default: str = "") -> None:
        """From here on, for containers to come. Raises InvalidArgument for a setting that cannot be."""
        if OWN in configured:
            raise InvalidArgument(f"runtime name '{OWN}' is reserved")
        found = {name: path for name in _KNOWN if (path := shutil.which(name, path=_SEARCH))}
        self._programs = {name: Program(path) for name, path in found.items()} | dict(configured)
        self.default = default or OWN
        self.check(self.default)

    def check(self, name: str) -> None:
        """Raises InvalidArgument, in Docker's words, for a runtime that there is not."""
        self._find(name)

    def foreign(self, name: str) -> ForeignRuntime | None:
        """What a start is told of another runtime than ours; None for ours. Raises InvalidArgument."""
        program = self._find(name)
        if program is None:
            return None
        return {"path": program.path, "arguments": list(program.arguments)}

    def shown(self) -> dict[str, Program]:
        """Of ``/info``. Names of Docker's that there is no program for mean ours."""
        own = Program("cove-oci")
        return {OWN: own, _ALIAS: own, "runc": own} | self._programs

    def _find(self, name: str) -> Program | None:
        if name in self._programs:
            return self._programs[name]
        if name in ("", OWN, _ALIAS, "runc"):
            return None
        if name.startswith("/") and os.path.isfile(name) and os.access(name, os.X_OK):
            return Program(name)
        raise InvalidArgument(f"unknown or invalid runtime name: {name}")
