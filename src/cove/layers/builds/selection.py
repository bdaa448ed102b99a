"""What a COPY or ADD selects: from which path of which tree each file comes, and where it goes."""

import hashlib
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from cove.errors import InvalidArgument, NotFound
from cove.layers.builds import accounts
from cove.layers.builds.archives import is_archive
from cove.layers.builds.context import open_place
from cove.layers.builds.trees import Found, Parts, Tree, open_layers, resolve
from cove.layers.tar.reader import shown
from cove.layers.tree import MAX_DEPTH, split
from cove.layers.worker.build_jobs import Select, SelectDone, Selection, Source, TreePlace

_GIVEN_MODE = stat.S_IFREG | 0o644


@dataclass(slots=True)
class Item:
    """``place``: where it goes, from the root. ``tree`` and ``parts``: where it is; or ``content``, of a file given.

    ``archive``: what is in it goes to ``place``, not the file. ``base``: components of the destination in ``place``.
    """

    place: Parts
    found: Found
    tree: Tree
    parts: Parts
    base: int
    content: bytes | None = None
    archive: bool = False

    def data(self) -> Iterator[bytes]:
        """The bytes of a file."""
        return iter([self.content] if self.content else []) if self.content is not None else self.tree.data(self.parts)

    def digest(self) -> bytes:
        """What it is: of a file the hash of its bytes, of a link its target."""
        if self.content is not None:
            return hashlib.sha256(self.content).digest()
        if self.found.is_file:
            return self.tree.digest(self.parts)
        return self.found.target


class Chosen:
    """A selection with its trees open. A context manager. ``target``: the root that it is copied to."""

    def __init__(self, selection: Selection, lower: list[str]) -> None:
        self._selection = selection
        self._stack = ExitStack()
        self._trees: dict[TreePlace, Tree] = {}
        self._lower = lower
        self._matched = False

    def __enter__(self) -> "Chosen":
        with ExitStack() as stack:
            self.target: Tree = stack.enter_context(closing(open_layers(self._lower)))
            base, found = resolve(self.target, split(self._selection.destination.encode("utf-8", "surrogateescape")))
            self.base: Parts = tuple(base)
            self._into = self._selection.directory or (found is not None and found.is_directory)
            if found is not None and not found.is_directory and self._selection.directory:
                raise InvalidArgument(f"cannot copy to non-directory: {shown(b'/' + b'/'.join(base))}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def owner(self) -> tuple[int, int] | None:
        """Who gets everything; None: who has it in the source."""
        if self._selection.owner:
            return accounts.owner(self.target, self._selection.owner)
        return None if self._selection.keep_owner else (0, 0)

    @property
    def owner_is_given(self) -> bool:
        return bool(self._selection.owner)

    @property
    def wants_directory(self) -> bool:
        """Whether the destination is to be there when nothing was copied: not when patterns have matched nothing."""
        return self._matched or not self._selection.sources

    def items(self) -> Iterator[Item]:
        """Everything, directories before what is in them. Raises NotFound naming a source that is not there."""
        for source in self._selection.sources:
            yield from self._given(source) if source.content is not None else self._from_tree(source)

    def last_items(self) -> Iterator[Item]:
        """The same, but of several that go to one place, as files of one name, only the last."""
        sources = self._selection.sources
        if len(sources) == 1 and not sources[0].expression:
            yield from self.items()
            return
        items = list(self.items())
        last = {item.place: item for item in items}
        yield from (item for item in items if item.archive or item.found.is_directory or last[item.place] is item)

    def _given(self, source: Source) -> Iterator[Item]:
        assert source.content is not None
        found = Found(
            stat.S_IFREG | source.mode if source.mode else _GIVEN_MODE, 0, 0, source.mtime * 1_000_000_000,
            len(source.content),
        )  # fmt: skip
        place = (*self.base, source.name.encode()) if self._into else self.base
        yield Item(place, found, self.target, (), len(self.base), source.content)

    def _from_tree(self, source: Source) -> Iterator[Item]:
        tree = self._opened(source.tree)
        matches = list(_matches(tree, source))
        if not matches and not source.optional:
            raise NotFound(f'"/{source.path}": not found')
        if len(matches) > 1 and not (self._into or source.parents):
            raise InvalidArgument(
                "When using COPY with more than one source file, the destination must be a directory and end with a /"
            )
        self._matched |= bool(matches)
        for named in matches:
            yield from self._match(tree, source, named)

    def _match(self, tree: Tree, source: Source, named: Parts) -> Iterator[Item]:
        parts, found = resolve(tree, list(named))
        if found is None:
            raise NotFound(f'"{shown(b"/" + b"/".join(named))}": not found')
        base = self.base
        if source.parents:
            if _Excludes(source)(named[source.pivot :]):
                return
            yield from self._above(tree, source, named, found)
            base = (*base, *named[source.pivot :])
        if found.is_directory:
            above = named[source.pivot :] if source.parents else ()
            yield from self._directory(tree, tuple(parts), base, _Excludes(source, above))
        elif source.parents or not _Excludes(source)(named[-1:]):
            archive = source.unpack and found.is_file and is_archive(tree.data(tuple(parts)))
            place = base if archive or source.parents or not self._into else (*base, named[-1])
            yield Item(place, found, tree, tuple(parts), len(self.base), archive=archive)

    def _above(self, tree: Tree, source: Source, named: Parts, found: Found) -> Iterator[Item]:
        """The directories that lead to a match, and itself when it is one."""
        kept = named[source.pivot :]
        for length in range(1, len(kept) + found.is_directory):
            parts, directory = resolve(tree, list(named[: source.pivot + length]))
            assert directory is not None
            yield Item((*self.base, *kept[:length]), directory, tree, tuple(parts), len(self.base))

    def _directory(self, tree: Tree, top: Parts, base: Parts, excludes: "_Excludes") -> Iterator[Item]:
        todo: list[Parts] = [()]
        while todo:
            below = todo.pop()
            if len(below) > MAX_DEPTH:
                raise InvalidArgument(f"{shown(b'/'.join(below))}: path has more than {MAX_DEPTH} components")
            deeper: list[Parts] = []
            for name in tree.names((*top, *below)):
                path = (*below, name)
                found = tree.look((*top, *path))
                if found is None:
                    continue
                out = excludes(path)
                if found.is_directory and not (out and excludes.final):
                    deeper.append(path)
                if not out:
                    yield Item((*base, *path), found, tree, (*top, *path), len(self.base))
            todo += reversed(deeper)

    def _opened(self, place: TreePlace) -> Tree:
        key = TreePlace(place.tar, place.index, tuple(place.lower))  # type: ignore[arg-type]
        tree = self._trees.get(key)
        if tree is None:
            tree = open_place(place)
            self._trees[key] = self._stack.enter_context(closing(tree))
        return tree


class _Excludes:
    """Whether a path below a source is left out. ``above``: what patterns see before the path.

    ``final``: no rule brings back what is below a directory left out.
    """

    def __init__(self, source: Source, above: Parts = ()) -> None:
        self._above = above
        self._rules = [(re.compile(rule.expression), rule.negated) for rule in source.excludes]
        self.final = not any(negated for _, negated in self._rules)

    def __call__(self, path: Parts) -> bool:
        path = (*self._above, *path)
        out = False
        for expression, negated in self._rules:
            if out == negated and any(expression.fullmatch(_text(path[:length])) for length in range(1, len(path) + 1)):
                out = not negated
        return out


def _matches(tree: Tree, source: Source) -> Iterator[Parts]:
    """The paths that the source names, in order."""
    parts = split(source.path.encode("utf-8", "surrogateescape"))
    if not source.expression:
        if resolve(tree, parts)[1] is not None:
            yield tuple(parts)
        return
    fixed = next((place for place, part in enumerate(parts) if any(mark in part for mark in b"*?[\\")), len(parts))
    expression = re.compile(source.expression)
    todo: list[Parts] = [tuple(parts[:fixed])]
    while todo:
        above = todo.pop()
        real, found = resolve(tree, list(above))
        if found is None or not found.is_directory:
            continue
        deeper: list[Parts] = []
        for name in tree.names(tuple(real)):
            path = (*above, name)
            if expression.fullmatch(_text(path)):
                yield path
            elif len(path) < len(parts) or (source.parents and b"**" in parts):
                below = tree.look((*real, name))
                if below is not None and below.is_directory:
                    deeper.append(path)
        todo += reversed(deeper)


def _text(parts: Parts) -> str:
    """A path as patterns see it: what is no UTF-8 is a character for each byte."""
    return b"/".join(parts).decode("utf-8", "surrogateescape")


def select(job: Select) -> SelectDone:
    """What a selection amounts to, by content, without copying it. Raises NotFound, InvalidArgument."""
    checksum = hashlib.sha256()
    lines: list[bytes] = []
    with Chosen(job.selection, job.lower) as chosen:
        keeps = chosen.owner() is None
        for item in chosen.items():
            line = _line(item, keeps)
            checksum.update(line + b"\n")
            lines.append(line)
        nothing = not lines and not chosen.wants_directory
    if job.listing:
        Path(job.listing).write_bytes(b"\n".join(sorted(lines)))
    return SelectDone(f"sha256:{checksum.hexdigest()}", len(lines), nothing)


def _line(item: Item, keeps_owner: bool) -> bytes:
    """Name, kind, permissions, owner, device, attributes and content of an item, in one line without raw names."""
    found = item.found
    name = b"/".join(item.place[item.base :])
    owner = b"%d:%d" % (found.uid, found.gid) if keeps_owner else b""
    device = b"%d:%d" % found.device if found.device != (0, 0) else b""
    attributes = b",".join(key + b"=" + value.hex().encode() for key, value in sorted(found.xattrs.items()))
    content = b"" if found.is_directory else item.digest()
    digest = content.hex().encode() if found.is_file else _escaped(content)
    mode = b"%o%s" % (found.mode, b"!" if item.archive else b"")
    return b"\t".join((_escaped(name), mode, owner, device, attributes, digest))


def _escaped(name: bytes) -> bytes:
    return name.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")
