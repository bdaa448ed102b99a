"""The layers that the steps of a build make: of what a RUN left in its upper directory, and of what a COPY selects."""

import stat
from contextlib import closing

from cove.errors import InvalidArgument
from cove.layers.builds import permissions
from cove.layers.builds.archives import members
from cove.layers.builds.changed import Changed
from cove.layers.builds.mount_stubs import Stubs
from cove.layers.builds.selection import Chosen, Item
from cove.layers.builds.trees import Found, Parts, open_layers
from cove.layers.layer_file import LayerFile
from cove.layers.nodes import header_of
from cove.layers.pack import pack_layer
from cove.layers.tar.header import Header
from cove.layers.tar.reader import shown
from cove.layers.tree import split
from cove.layers.worker.build_jobs import CopyStep, PackStep
from cove.layers.worker.jobs import UnpackDone


def pack(job: PackStep) -> UnpackDone:
    """Raises OSError, InvalidArgument naming an entry that no layer can have."""
    layer = LayerFile(job.target, job.plain, job.epoch)
    with closing(open_layers(job.lower)) as below:
        stubs = Stubs([path.encode("utf-8", "surrogateescape") for path in job.stubs], below)
        pack_layer(job.upper, layer, stubs.skip)
    return layer.finish()


def copy(job: CopyStep) -> UnpackDone:
    """Raises NotFound, InvalidArgument, OSError."""
    layer = LayerFile(job.target, job.plain, job.epoch)
    with Chosen(job.selection, job.lower) as chosen:
        _Copying(job, chosen, layer).run()
    return layer.finish()


class _Copying:
    """One selection on its way into a layer."""

    def __init__(self, job: CopyStep, chosen: Chosen, layer: LayerFile) -> None:
        self._chosen = chosen
        self._layer = layer
        self._now = (job.now if job.epoch < 0 else job.epoch) * 1_000_000_000
        self._owner = chosen.owner()
        self._chmod = permissions.parse(job.selection.mode) if job.selection.mode else None
        self._new_directory = permissions.of_new_directory(job.selection.mode)
        self._replaces = job.selection.replaces
        self._root = Changed(chosen.target)
        self._linked: dict[tuple[int, int], Parts] = {}

    def run(self) -> None:
        for item in self._chosen.last_items():
            if item.archive:
                self._archive(item)
            else:
                self._item(item)
        if self._chosen.base not in self._root.directories and not self._layer.entries and self._chosen.wants_directory:
            self._ancestors((*self._chosen.base, b""), self._new_directory)

    def _item(self, item: Item) -> None:
        place = item.place
        if not place:
            raise InvalidArgument("cannot copy a file over the root directory")
        self._ancestors(place, self._new_directory)
        found = item.found
        if not self._replaces:
            refuse = self._refuse_over_file if found.is_directory else self._refuse_over_directory
            refuse(place)
        header = self._header(place, found)
        key = (id(item.tree), found.identity)
        if found.identity and key in self._linked:
            header.kind, header.link, header.size, header.real_size = b"1", b"/".join(self._linked[key]), 0, 0
        elif found.identity:
            self._linked[key] = place
        self._layer.entry(header)
        if header.size:
            self._data(item, header.size)
        if found.is_directory:
            self._root.add_directory(place)

    def _data(self, item: Item, size: int) -> None:
        for piece in item.data():
            self._layer.data(piece)
            size -= len(piece)
        if size:
            raise InvalidArgument(f"{shown(b'/'.join(item.parts))}: it changed while it was read")

    def _archive(self, item: Item) -> None:
        """What is in an archive, below the item's place, with the modes that it has there.

        As Docker unpacks it: through links in the root, but what has an entry of its own takes the place of a link.
        """
        for entry, reader in members(item.data()):
            if not split(entry.name):
                continue
            place = self._root.inside(item.place, entry.name)
            self._ancestors(place, permissions.NEW_DIRECTORY)
            entry.name = b"/".join(place)
            if entry.kind == b"1":
                entry.link = b"/".join(self._root.inside(item.place, entry.link))
            if self._chosen_owner is not None:
                entry.uid, entry.gid = self._chosen_owner
            self._layer.entry(entry)
            for piece in reader.data():
                self._layer.data(bytes(piece))
            if entry.kind == b"5":
                self._root.add_directory(place)
            else:
                self._root.add_entry(place, entry)

    @property
    def _chosen_owner(self) -> tuple[int, int] | None:
        """Archives have owners of their own, unless ``--chown`` says otherwise."""
        return self._owner if self._chosen.owner_is_given else None

    def _ancestors(self, place: Parts, mode: int) -> None:
        """Entries for the directories that lead there: as the image has them, or new ones of this mode."""
        for length in range(1, len(place)):
            above = place[:length]
            if above in self._root.directories:
                continue
            there = self._root.look(above)
            if there is not None and there.is_directory:
                self._layer.entry(header_of(b"/".join(above), there))
            else:
                uid, gid = self._owner or (0, 0)
                self._refuse_over_file(above)
                self._layer.entry(header_of(b"/".join(above), Found(stat.S_IFDIR | mode, uid, gid, self._now, 0)))
            self._root.add_directory(above)

    def _refuse_over_file(self, place: Parts) -> None:
        there = self._root.look(place)
        if there is not None and not there.is_directory:
            raise InvalidArgument(f"cannot copy to non-directory: {shown(b'/' + b'/'.join(place))}")

    def _refuse_over_directory(self, place: Parts) -> None:
        there = self._root.look(place)
        if there is not None and there.is_directory:
            raise InvalidArgument(f"cannot replace to directory {shown(b'/' + b'/'.join(place))} with file")

    def _header(self, place: Parts, found: Found) -> Header:
        header = header_of(b"/".join(place), found)
        if self._owner is not None:
            header.uid, header.gid = self._owner
        if self._chmod is not None and not found.is_link:
            header.mode = self._chmod(found.mode & 0o7777, found.is_directory) & 0o7777
        if header.mtime < 0:
            header.mtime = self._now
        return header
