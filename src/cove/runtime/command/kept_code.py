"""The code of the modules that earlier calls imported, in one file: to find and read sixty files is a fifth of a call.

It lies where Python keeps what it compiles, and is trusted as that is. A module whose source has changed since is
imported as ever, and so is every other that is not there; a call that did so adds them when it ends.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from types import ModuleType

    Identity = tuple[int, int]
    """The time of a source in ns, and its size."""

    Kept = tuple[str, bool, Identity, bytes]
    """Of a module: the path of its source, whether it is a package, what the source was, and the marshalled code."""
else:
    Loader = object  # importlib.abc is dear

_NAME = f"cove-oci.{sys.implementation.cache_tag}.code"


class KeptCode(Loader):
    """A finder and a loader of modules (importlib.abc)."""

    def __init__(self, directory: str) -> None:
        """``directory``: where the file is, or is to be."""
        self._directory = directory
        self._path = f"{directory}/{_NAME}"
        self._before = set(sys.modules)
        self._modules: dict[str, Kept] = {}
        try:
            with open(self._path, "rb") as file:
                version, modules = marshal.loads(file.read())
        except (OSError, ValueError, EOFError, TypeError):
            return
        if version == sys.version:
            self._modules = modules

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        kept = self._modules.get(name)
        if kept is None or _identity(kept[0]) != kept[2]:
            return None
        spec = ModuleSpec(name, self, origin=kept[0], is_package=kept[1])
        if kept[1]:
            spec.submodule_search_locations = [os.path.dirname(kept[0])]
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """As every module is made."""

    def exec_module(self, module: ModuleType) -> None:
        path, _, _, code = self._modules[module.__name__]
        module.__file__ = path
        exec(marshal.loads(code), module.__dict__)

    def keep(self) -> None:
        """Add what has been imported from elsewhere meanwhile, where that can be written."""
        if sys.dont_write_bytecode or not os.access(self._directory, os.W_OK):
            return
        new = set(sys.modules) - self._before
        taken = {name: kept for name in new if (kept := self._take(sys.modules[name])) is not None}
        if not taken:
            return
        try:
            with open(f"{self._path}.{os.getpid()}", "xb") as file:
                file.write(marshal.dumps((sys.version, self._modules | taken)))
            os.rename(file.name, self._path)
        except OSError:
            return

    def _take(self, module: ModuleType) -> Kept | None:
        """None for a module that is kept, or has no code in Python."""
        spec = getattr(module, "__spec__", None)  # which typing.re, for one, has not
        if spec is None or spec.origin is None or not isinstance(spec.loader, SourceFileLoader):
            return None
        identity = _identity(spec.origin)
        code = spec.loader.get_code(spec.name)  # from the compiled file
        package = spec.submodule_search_locations is not None
        return None if identity is None else (spec.origin, package, identity, marshal.dumps(code))


def _identity(path: str) -> Identity | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
