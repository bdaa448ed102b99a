"""The code of the modules that earlier calls imported, in one file: to find and read sixty files is a fifth of a call.

It lies where Python keeps what it compiles, and is trusted as that is. A module whose source has changed since is
imported as ever, and so is every other that is not there; a call that did so adds them when it ends.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib_external import SourceFileLoader, spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

    Identity = tuple[int, int]
    """The time of a source in ns, and its size."""

    Kept = tuple[str, bool, Identity, bytes]
    """Of a module: the path of its source, whether it is a package, what the source was, and the marshalled code."""

_NAME = f"cove-oci.{sys.implementation.cache_tag}.code"


class _Loader(SourceFileLoader):
    """Python's own for a source, but for where the code comes from."""

    def __init__(self, name: str, kept: Kept) -> None:
        super().__init__(name, kept[0])
        self._code = kept[3]

    def get_code(self, _name: str) -> CodeType:
        code: CodeType = marshal.loads(self._code)
        return code


class KeptCode:
    """A finder of modules (importlib.abc)."""

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
        places = [os.path.dirname(kept[0])] if kept[1] else None
        return spec_from_file_location(name, kept[0], loader=_Loader(name, kept), submodule_search_locations=places)

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
        if spec is None or spec.origin is None or type(spec.loader) is not SourceFileLoader:
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
