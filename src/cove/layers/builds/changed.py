"""The root that a COPY or ADD fills, as it is while its layer is written."""

import stat

from cove.errors import InvalidArgument
from cove.layers.builds.trees import Found, Parts, Tree, resolve
from cove.layers.tar.header import Header
from cove.layers.tar.reader import shown
from cove.layers.tree import split

_DIRECTORY = Found(stat.S_IFDIR | 0o755, 0, 0, 0, 0)


class Changed:
    """A tree with the directories and links of a layer over it.

    It does not keep the files of a layer, so that an archive of a million files takes no memory.
    """

    def __init__(self, target: Tree) -> None:
        self._target = target
        self.directories: set[Parts] = {()}
        """Those that the layer has."""
        self._instead: dict[Parts, Found] = {}
        """Links of the layer, and its directories where the tree has something else."""
        self._last: tuple[Parts, Parts] = ((), ())

    def look(self, parts: Parts) -> Found | None:
        """As of ``Tree``. Of a directory of the layer only the kind is right."""
        if self._instead:
            for length in range(1, len(parts) + 1):
                found = self._instead.get(parts[:length])
                if found is not None and length == len(parts):
                    return found
                if found is not None:  # what the tree has below is gone
                    return _DIRECTORY if parts in self.directories else None
        return _DIRECTORY if parts in self.directories else self._target.look(parts)

    def add_directory(self, place: Parts) -> None:
        """The layer has a directory there, instead of what was there and was none."""
        there = self.look(place)
        if there is not None and not there.is_directory:
            self._instead[place] = _DIRECTORY
        self.directories.add(place)
        self._last = ((), ())

    def add_entry(self, place: Parts, entry: Header) -> None:
        """An archive has this there, which is no directory."""
        if entry.kind == b"2":
            self.directories.discard(place)
            self._instead[place] = Found(stat.S_IFLNK | 0o777, 0, 0, 0, 0, entry.link)
            self._last = ((), ())

    def inside(self, base: Parts, name: bytes) -> Parts:
        """Where an archive's entry of a name goes that is unpacked at ``base``, through the links on the way.

        They lead nowhere out of the root. Raises InvalidArgument for a way through what is no directory.
        """
        parts = split(name)
        above = (*base, *parts[:-1])
        if self._last[0] != above:
            self._last = (above, self._real(base, parts[:-1]))
        return (*self._last[1], *parts[-1:])

    def _real(self, base: Parts, steps: list[bytes]) -> Parts:
        place = base
        for step in steps:
            place = (*place, step)
            found = self.look(place)
            if found is not None and found.is_link:
                resolved, found = resolve(self, list(place))  # type: ignore[arg-type]
                if found is None:
                    raise InvalidArgument(f"{shown(b'/' + b'/'.join(place))}: a link to what is not there")
                place = tuple(resolved)
            if found is not None and not found.is_directory:
                raise InvalidArgument(f"cannot copy to non-directory: {shown(b'/' + b'/'.join(place))}")
        return place
