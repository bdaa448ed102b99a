"""Routes that bring images in and out: load, save, import, pull, push, bootstrap."""

from collections.abc import AsyncIterator
from typing import Protocol

from cove.wire.images import AuthConfig, Progress


class Transfers(Protocol):
    """Progress streams: an error that is raised after the first item becomes the stream's last line."""

    def load(self, chunks: AsyncIterator[bytes], *, quiet: bool, platform: str) -> AsyncIterator[Progress]: ...

    async def save(self, names: list[str], *, platform: str) -> AsyncIterator[bytes]:
        """A tar. Raises NotFound before the first byte."""

    def import_(
        self,
        chunks: AsyncIterator[bytes],
        *,
        source: str,
        repo: str,
        tag: str,
        message: str,
        changes: list[str],
        platform: str,
    ) -> AsyncIterator[Progress]:
        """``source``: ``-`` for the body, else a URL (``chunks`` is empty then)."""

    def pull(self, image: str, *, tag: str, platform: str, auth: AuthConfig | None) -> AsyncIterator[Progress]:
        """``tag``: a tag or a digest; empty with a name that has none is every tag."""

    def push(self, name: str, *, tag: str, platform: str, auth: AuthConfig | None) -> AsyncIterator[Progress]: ...

    def bootstrap(
        self, recipe: str, *, tag: str, mirror: str, suite: str, keyring: str, platform: str
    ) -> AsyncIterator[Progress]:
        """Make an image straight from a distribution's packages. Empty strings are the machine's own settings."""
