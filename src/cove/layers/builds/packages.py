"""Packages that programming languages leave in an image, where their own tools put what says so.

Python: ``*.dist-info/METADATA`` and ``*.egg-info/PKG-INFO``. Node: ``node_modules/…/package.json``. Go: the list of
modules in the program itself (debug/buildinfo in Go's library: a mark, then two strings with their lengths).
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing

from cove.layers.builds.trees import Found, Parts, Tree, open_layers
from cove.layers.worker.build_jobs import FindPackages, FindPackagesDone, FoundPackage

MOST_BYTES = 1 << 20
"""Of a file that describes a package."""
MOST_PACKAGES = 100_000

_MARK = b"\xff Go buildinf:"
_INLINE = 2
"""The flag of Go 1.18 and later: the strings follow, they are not pointed at."""
_STRINGS = 32
"""Where they begin, from the mark on."""
_FRAME = 16
"""Bytes around the list of modules."""
_SMALLEST_PROGRAM = 500_000
"""Go programs are larger."""
_NO_FILES = (b"proc", b"sys", b"dev")


def find_packages(job: FindPackages) -> FindPackagesDone:
    """Everything in a stack of layers, each package once. Raises OSError."""
    found: dict[FoundPackage, None] = {}
    with closing(open_layers(job.lower)) as tree:
        for package in _all(tree):
            found[package] = None
            if len(found) >= MOST_PACKAGES:
                break
    return FindPackagesDone(sorted(found, key=lambda package: (package.kind, package.name, package.version)))


def _all(tree: Tree) -> Iterator[FoundPackage]:
    todo: list[Parts] = [()]
    while todo:
        above = todo.pop()
        for name in tree.names(above):
            parts = (*above, name)
            found = tree.look(parts)
            if found is None:
                continue
            if found.is_directory:
                todo += [parts] if above or name not in _NO_FILES else []
            elif found.is_file:
                yield from _of_file(tree, parts, found)


def _of_file(tree: Tree, parts: Parts, found: Found) -> Iterable[FoundPackage]:
    name, above = parts[-1], parts[-2] if len(parts) > 1 else b""
    if (name == b"METADATA" and above.endswith(b".dist-info")) or (
        name == b"PKG-INFO" and above.endswith((b".egg-info", b"EGG-INFO"))
    ):
        return _python(_read(tree, parts))
    if name == b"package.json" and b"node_modules" in parts[-4:-2]:  # with a scope there is one directory more
        return _node(_read(tree, parts))
    if found.mode & 0o111 and found.size >= _SMALLEST_PROGRAM:
        return _go(tree.data(parts))
    return ()


def _read(tree: Tree, parts: Parts) -> bytes:
    content = bytearray()
    for piece in tree.data(parts):
        content += piece
        if len(content) > MOST_BYTES:
            break
    return bytes(content)


def _python(content: bytes) -> Iterator[FoundPackage]:
    head = content.decode("utf-8", "replace").replace("\r\n", "\n").split("\n\n", 1)[0]
    fields = dict(line.split(": ", 1) for line in reversed(head.split("\n")) if ": " in line)
    if fields.get("Name"):
        yield FoundPackage("pypi", fields["Name"].strip(), fields.get("Version", "").strip())


def _node(content: bytes) -> Iterator[FoundPackage]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return
    if isinstance(said, dict) and isinstance(said.get("name"), str) and isinstance(said.get("version"), str):
        yield FoundPackage("npm", said["name"], said["version"])


def _go(pieces: Iterator[bytes]) -> Iterator[FoundPackage]:
    """The program's module and all that it was made of, the standard library too."""
    info = _build_info(pieces)
    if len(info) < _STRINGS or not info[len(_MARK) + 1] & _INLINE:
        return
    version, rest = _string(info[_STRINGS:])
    modules, _ = _string(rest)
    if version.startswith(b"go"):
        yield FoundPackage("golang", "stdlib", version.split()[0].decode("utf-8", "replace")[2:])
    for line in modules[_FRAME:-_FRAME].decode("utf-8", "replace").split("\n"):
        kind, *words = line.split("\t")
        if kind in ("mod", "dep", "=>") and len(words) >= 2 and words[1]:
            yield FoundPackage("golang", words[0], words[1])


def _build_info(pieces: Iterator[bytes]) -> bytes:
    """What begins with the mark; nothing for what is no program, or not Go's."""
    seen = next(pieces, b"")
    if not seen.startswith(b"\x7fELF"):
        return b""
    while (place := seen.find(_MARK)) < 0:
        piece = next(pieces, b"")
        if not piece:
            return b""
        seen = seen[-len(_MARK) :] + piece
    info = bytearray(seen[place:])
    while len(info) < MOST_BYTES and (piece := next(pieces, b"")):
        info += piece
    return bytes(info)


def _string(data: bytes) -> tuple[bytes, bytes]:
    """A string after its length, in groups of seven bits, and what follows it."""
    length = position = 0
    while position < min(len(data), 5):
        byte = data[position]
        length |= (byte & 0x7F) << 7 * position
        position += 1
        if byte < 0x80:
            break
    return data[position : position + length], data[position + length :]
