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

    Taken = tuple[tuple[str, bool, Identity], bytes]
    """A module before its code has a place in the file."""

    Kept = tuple[str, bool, Identity, int, int]
    """Of a module: the path of its source, whether it is a package, what the source was, and its marshalled code: where
    that is behind the table, and how long it is.
    """

_NAME = f"cove-oci.{sys.implementation.cache_tag}.code"
_SIZE_BYTES = 4


class _Loader(SourceFileLoader):
    """Python's own for a source, but for where the code comes from."""

    def __init__(self, name: str, path: str, content: bytes) -> None:
        super().__init__(name, path)
        self._content = content

    def get_code(self, _name: str) -> CodeType:
        code: CodeType = marshal.loads(self._content)
        return code


class KeptCode:
    """A finder of modules (importlib.abc).

    The file begins with the size of its table and the table. Of the code only that is read which a call imports: some
    of what is there belongs to calls that are rare, and is large.
    """

    def __init__(self, directory: str) -> None:
        """``directory``: where the file is, or is to be."""
        self._directory = directory
        self._path = f"{directory}/{_NAME}"
        self._before = set(sys.modules)
        self._modules: dict[str, Kept] = {}
        self._file = self._codes = -1
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            size = int.from_bytes(os.read(self._file, _SIZE_BYTES), "little")
            version, modules = marshal.loads(os.read(self._file, size))
        except (OSError, ValueError, EOFError, TypeError, OverflowError, MemoryError):
            return
        if version == sys.version:
            self._modules, self._codes = modules, _SIZE_BYTES + size

    def _content(self, kept: Kept) -> bytes:
        return os.pread(self._file, kept[4], self._codes + kept[3])

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        kept = self._modules.get(name)
        if kept is None or _identity(kept[0]) != kept[2]:
            return None
        places = [os.path.dirname(kept[0])] if kept[1] else None
        return spec_from_file_location(
            name, kept[0], loader=_Loader(name, kept[0], self._content(kept)), submodule_search_locations=places
        )

    def keep(self) -> None:
        """Add what has been imported from elsewhere meanwhile, where that can be written."""
        if sys.dont_write_bytecode or not os.access(self._directory, os.W_OK):
            return
        new = set(sys.modules) - self._before
        taken = {name: found for name in new if (found := self._take(sys.modules[name])) is not None}
        if not taken:
            return
        taken |= {name: (kept[:3], self._content(kept)) for name, kept in self._modules.items() if name not in taken}
        try:
            with open(f"{self._path}.{os.getpid()}", "xb") as file:
                file.write(_written(taken))
            os.rename(file.name, self._path)
        except OSError:
            return

    def _take(self, module: ModuleType) -> Taken | None:
        """None for a module that is kept, or has no code in Python."""
        spec = getattr(module, "__spec__", None)  # which typing.re, for one, has not
        if spec is None or spec.origin is None or type(spec.loader) is not SourceFileLoader:
            return None
        identity = _identity(spec.origin)
        code = spec.loader.get_code(spec.name)  # from the compiled file
        package = spec.submodule_search_locations is not None
        return None if identity is None else ((spec.origin, package, identity), marshal.dumps(code))


def _written(taken: dict[str, Taken]) -> bytes:
    """The file."""
    places: dict[str, Kept] = {}
    end = 0
    for name, (what, code) in taken.items():
        places[name] = (*what, end, len(code))
        end += len(code)
    table = marshal.dumps((sys.version, places))
    return b"".join([len(table).to_bytes(_SIZE_BYTES, "little"), table, *(code for _, code in taken.values())])


def _identity(path: str) -> Identity | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
