"""What ADD takes from elsewhere, fetched only when a step has to be built of it.

The cache has a record of what was fetched, with what the server says of it (``validators``: an entity tag, a time, a
commit). If that is still so, or if a checksum says that it can be nothing else, the files need not come: they are
``Promised``, by the name that they had, and a step over them may be in the cache.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cove.build.cache.cache import Cache, Record
from cove.build.planning.graph import Context, Origin, Promised, Remote
from cove.errors import Unavailable, Unimplemented
from cove.urls import without_user

KIND = "internal"
"""Of the records: they have no files."""
_DIGEST, _ORIGIN = "digest", "origin"


@dataclass(frozen=True)
class Fetched:
    """``validators``: what tells whether a server still has the same."""

    context: Context
    validators: Mapping[str, str]


class Fetcher(Protocol):
    """Who gets files by URL, and git repositories."""

    async def fetch(self, remote: Remote, directory: Path) -> Fetched:
        """As a context of its own, below ``directory``: one file, or a repository. Raises CoveError."""

    async def unchanged(self, remote: Remote, validators: Mapping[str, str]) -> bool:
        """Whether fetching it again would give the same. Raises CoveError."""


class Remotes:
    """Of one build. ``scratch``: its directory."""

    def __init__(self, cache: Cache, fetcher: Fetcher | None, scratch: Path) -> None:
        self._cache = cache
        self._fetcher = fetcher
        self._scratch = scratch
        self._coming: dict[Remote, asyncio.Task[Context]] = {}
        self.origins: dict[Remote, Origin] = {}
        """What there was at each, as far as it is known."""

    async def result(self, remote: Remote) -> Context | Promised:
        """What it is, with its files or without. Raises CoveError."""
        record = self._cache.find(_key(remote))
        if record is not None and await self._its(remote).unchanged(remote, record.parts):
            self.origins[remote] = Origin.of(remote.url, record.parts.get(_ORIGIN, ""))
            return Promised(remote, record.parts[_DIGEST])
        return await self._files(remote)

    async def files(self, promised: Promised) -> Context:
        """The files that were promised. Raises Unavailable when they are others by now; CoveError."""
        context = await self._files(promised.remote)
        if context.digest != promised.digest:
            raise Unavailable(f"{without_user(promised.remote.url)} has changed during the build")
        return context

    async def _files(self, remote: Remote) -> Context:
        if remote not in self._coming:
            self._coming[remote] = asyncio.ensure_future(self._fetch(remote))
        return await self._coming[remote]

    async def _fetch(self, remote: Remote) -> Context:
        fetched = await self._its(remote).fetch(remote, self._scratch)
        origin = fetched.context.origin or Origin.of(remote.url)
        self.origins[remote] = origin
        now = time.time_ns()
        parts = {**fetched.validators, _DIGEST: fetched.context.digest, _ORIGIN: origin.digest}
        self._cache.note(Record(_key(remote), KIND, f"fetched {origin.url}", now, now, parts=parts))
        return fetched.context

    def _its(self, remote: Remote) -> Fetcher:
        if self._fetcher is None:
            raise Unimplemented(f"ADD of {remote.url} is not supported")
        return self._fetcher


def _key(remote: Remote) -> str:
    return hashlib.sha256(repr(("fetched", remote.url, remote.checksum, remote.keep_git_dir)).encode()).hexdigest()
