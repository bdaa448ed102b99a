"""The jobs that look into images: which files there are, what differs between two, what is wasted."""

import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence

from cove.errors import InvalidArgument, NotFound
from cove.layers.looking.contents import Entry, Hidden, Stack, Tops, content, opened, read, shown
from cove.layers.looking.differences import ADDED, DELETED, MODIFIED
from cove.layers.worker.looking_jobs import (
    CompareStacks,
    FileChange,
    FindWaste,
    FoundFile,
    LayerUse,
    ListFiles,
    ListFilesDone,
    StacksCompared,
    WastedPath,
    WasteFound,
)

WORST = 50
"""The most wasteful files that are told."""
MOST_LISTED = 200_000
"""Files of one answer."""


def list_files(job: ListFiles) -> ListFilesDone:
    """What a container would see at the path and below. Raises NotFound, InvalidArgument."""
    with opened(job.layers) as tops:
        stack = read(job.layers, tops)
    path = job.path.rstrip("/").encode()
    found = [(name, entry) for name, entry in stack.visible.items() if _is_at(name, path)]
    if not found and path:
        raise NotFound(f"{job.path}: no such file or directory")
    if len(found) > MOST_LISTED:
        raise InvalidArgument(f"{job.path or '/'}: more than {MOST_LISTED} files, ask for a directory below it")
    return ListFilesDone([_file(name, entry) for name, entry in sorted(found)])


def compare_stacks(job: CompareStacks) -> StacksCompared:
    """What changes from one to the other; what lies in layers of both is equal."""
    found = []
    with opened([*job.before, *job.after]) as tops:
        before, after = read(job.before, tops), read(job.after, tops)
        for path in sorted(before.visible.keys() | after.visible.keys()):
            old, new = before.visible.get(path), after.visible.get(path)
            kind = _change(job, tops, path, old, new)
            if kind is not None:
                found.append(FileChange(shown(path), kind, old.size if old else 0, new.size if new else 0))
    if len(found) > MOST_LISTED:
        raise InvalidArgument(f"more than {MOST_LISTED} files differ")
    return StacksCompared(found)


def find_waste(job: FindWaste) -> WasteFound:
    """What each layer adds, and what of it nobody sees."""
    with opened(job.layers) as tops:
        stack = read(job.layers, tops)
        uses = [LayerUse(size, files) for size, files in stack.added]
        for hidden in stack.hidden:
            uses[hidden.entry.layer].dead += hidden.entry.size
            if hidden.deleted:
                uses[hidden.by].deleted += hidden.entry.size
            else:
                uses[hidden.by].overwritten += hidden.entry.size
                uses[hidden.by].repeated += _repeated([tops[layer] for layer in job.layers], stack, hidden)
    return WasteFound(uses, _worst(stack.hidden))


def _is_at(name: bytes, path: bytes) -> bool:
    return name == path or name.startswith(path + b"/")


def _file(path: bytes, entry: Entry) -> FoundFile:
    status = entry.status
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    modified = int(status.st_mtime)
    return FoundFile(
        shown(path), status.st_mode, status.st_uid, status.st_gid, size, modified, entry.layer, entry.target
    )


def _change(job: CompareStacks, tops: Tops, path: bytes, old: Entry | None, new: Entry | None) -> int | None:
    if old is None or new is None:
        return ADDED if old is None else DELETED
    one, other = job.before[old.layer], job.after[new.layer]
    if one == other:
        return None
    if _dress(old) != _dress(new):
        return MODIFIED
    if not stat.S_ISREG(old.status.st_mode):
        return None
    return MODIFIED if content(tops[one], path) != content(tops[other], path) else None


def _dress(entry: Entry) -> tuple[object, ...]:
    """What is compared before the content; not the time, which every build changes."""
    status = entry.status
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return status.st_mode, status.st_uid, status.st_gid, status.st_rdev, size, entry.target


def _repeated(tops: Sequence[int], stack: Stack, hidden: Hidden) -> int:
    """The bytes that a layer has of a file that was there with the same content."""
    new = stack.visible.get(hidden.path)
    if new is None or new.layer != hidden.by or not hidden.entry.size or new.size != hidden.entry.size:
        return 0
    same = content(tops[new.layer], hidden.path) == content(tops[hidden.entry.layer], hidden.path)
    return new.size if same else 0


def _worst(hidden: Sequence[Hidden]) -> list[WastedPath]:
    wasted: dict[bytes, int] = defaultdict(int)
    layers: dict[bytes, set[int]] = defaultdict(set)
    for each in hidden:
        wasted[each.path] += each.entry.size
        layers[each.path].update((each.entry.layer, each.by))
    return list(_most(wasted, layers))


def _most(wasted: dict[bytes, int], layers: dict[bytes, set[int]]) -> Iterator[WastedPath]:
    for path in sorted(wasted, key=lambda path: (-wasted[path], path))[:WORST]:
        if wasted[path]:
            yield WastedPath(shown(path), wasted[path], sorted(layers[path]))
