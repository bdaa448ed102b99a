"""What the daemon fetches itself: git repositories, and files and archives by URL; for ``remote=`` and for ADD."""

import asyncio
import hashlib
import os
import posixpath
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from cove.build.planning.graph import Context, Origin, Remote
from cove.build.solving.remotes import Fetched
from cove.contexts import Selection, tar_pieces, walk
from cove.contexts.git import Clone
from cove.dockerfile.git import GitSource, is_git, parse_git
from cove.dockerfile.ignore import FILE_NAME, SIZE_LIMIT, Matcher, parse_ignore_file
from cove.dockerfile.source import SIZE_LIMIT as MOST_DOCKERFILE
from cove.errors import InvalidArgument, NotFound, Unavailable
from cove.registry.client.download import download, has_still
from cove.registry.client.settings import Registries
from cove.store import in_thread
from cove.urls import without_user

_CHUNK = 1 << 18
_ALGORITHMS = {"sha256": 64, "sha384": 96, "sha512": 128}
_BEGINNINGS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
_UNNAMED = "__unnamed__"
COMMIT = "commit"

Receive = Callable[[AsyncIterator[bytes], Path], Awaitable[Context]]
"""Keeps a tar as a context, in a directory of the build's."""


class RemoteContexts:
    """``receive``: see ``Builder.receive``. ``registries``: the proxies on the way."""

    def __init__(self, receive: Receive, registries: Registries) -> None:
        self._receive = receive
        self._registries = registries

    async def context(self, url: str, dockerfile: str, directory: Path) -> tuple[Context | None, bytes | None]:
        """What ``remote=`` names: a context, or a Dockerfile alone. Raises InvalidArgument, Unavailable."""
        if is_git(url) or url.startswith("github.com/"):
            return await self._repository(url, directory, ignoring=dockerfile or "Dockerfile"), None
        if not url.startswith(("http://", "https://")):
            raise InvalidArgument(f"remote URL {without_user(url)} could not be recognized as git or HTTP")
        place, digest = await self._downloaded(url, directory)
        if await asyncio.to_thread(_is_tar, place):
            return _from(await self._receive(_threaded(_pieces(place)), directory), url, digest), None
        if place.stat().st_size > MOST_DOCKERFILE:
            raise InvalidArgument(f"{without_user(url)} is neither a tar nor a Dockerfile")
        return None, place.read_bytes()

    async def named(self, url: str, directory: Path) -> Context:
        """What a named context has: a repository, what is in a tar, or the one file that there is. Raises CoveError."""
        if is_git(url):
            return await self._repository(url, directory)
        place, digest = await self._downloaded(url, directory)
        if await asyncio.to_thread(_is_tar, place):
            return _from(await self._receive(_threaded(_pieces(place)), directory), url, digest)
        return _from(await self._of_directory(place.parent, Selection(Matcher(())), directory), url, digest)

    async def fetch(self, remote: Remote, directory: Path) -> Fetched:
        """What an ADD names, as a context of its own: one file, or a repository. Raises CoveError."""
        if is_git(remote.url):
            return await self._cloned(_source(remote), remote.url, directory)
        place = _held(remote.url, directory)
        checksum = _checksum(remote.checksum)
        got, validators = await self._download(remote.url, place, checksum[0])
        if checksum[1] and got != checksum[1]:
            raise InvalidArgument(f"digest mismatch {checksum[0]}:{got}: {remote.checksum}")
        context = await self._of_directory(place.parent, Selection(Matcher(())), directory)
        return Fetched(_from(context, remote.url, f"{checksum[0]}:{got}"), validators)

    async def unchanged(self, remote: Remote, validators: Mapping[str, str]) -> bool:
        """Whether it is what it was: by its checksum, or because the server says so. Raises CoveError."""
        if not is_git(remote.url):
            return bool(remote.checksum) or await has_still(remote.url, validators, self._registries)
        source = _source(remote)
        if source.pins:
            return True
        clone = Clone(source, Path("/"))
        return await _cancellable(clone, clone.current) == validators.get(COMMIT)

    async def _repository(self, url: str, directory: Path, *, ignoring: str = "") -> Context:
        return (await self._cloned(parse_git(url, local_looking=True), url, directory, ignoring)).context

    async def _cloned(self, source: GitSource, url: str, directory: Path, ignoring: str = "") -> Fetched:
        place = _fresh(directory)
        clone = Clone(source, place)
        try:
            commit = await _cancellable(clone, clone.run)
            selection = await asyncio.to_thread(_selection, clone.root, ignoring)
            context = await self._of_directory(clone.root, selection, directory)
            algorithm = "sha1" if len(commit) == 40 else "sha256"
            return Fetched(_from(context, url, f"{algorithm}:{commit}"), {COMMIT: commit})
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, place, ignore_errors=True))

    async def _downloaded(self, url: str, directory: Path) -> tuple[Path, str]:
        """What is at a URL, as a file of its name, and the digest of that. Raises NotFound, Unavailable."""
        place = _held(url, directory)
        try:
            digest, _ = await self._download(url, place)
        except (NotFound, Unavailable) as error:
            raise type(error)(f"error downloading remote context {without_user(url)}: {error.message}") from error
        return place, f"sha256:{digest}"

    async def _download(self, url: str, place: Path, algorithm: str = "sha256") -> tuple[str, dict[str, str]]:
        """Write what is at a URL to a file with its time of last change; its hash, and what tells whether it changes.

        Raises NotFound, Unavailable.
        """
        checksum = hashlib.new(algorithm)
        async with download(url, self._registries) as found:
            with place.open("xb") as file:
                async for chunk in found.pieces():
                    await in_thread(_keep, file.write, checksum.update, chunk)
            moment, validators = found.changed, found.validators
        place.chmod(0o600)
        os.utime(place, (moment, moment))
        return checksum.hexdigest(), validators

    async def _of_directory(self, root: Path, selection: Selection, directory: Path) -> Context:
        return await self._receive(_threaded(tar_pieces(walk(str(root), selection))), directory)


def _from(context: Context, url: str, digest: str) -> Context:
    return msgspec.structs.replace(context, origin=Origin.of(url, digest))


async def _cancellable(clone: Clone, call: Callable[[], str]) -> str:
    work = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        clone.cancel()
        await asyncio.wait([work])
        raise


def _source(remote: Remote) -> GitSource:
    return parse_git(remote.url).with_flags(remote.checksum, keep_git_dir=remote.keep_git_dir)


def _held(url: str, directory: Path) -> Path:
    """The place for a file that comes from a URL, alone in a directory of its own."""
    holder = _fresh(directory)
    holder.mkdir(mode=0o700)
    return holder / _name(url)


def _keep(write: Callable[[bytes], object], update: Callable[[bytes], object], chunk: bytes) -> None:
    write(chunk)
    update(chunk)


def _name(url: str) -> str:
    """What a file is called that comes from a URL: the last part of its path."""
    base = posixpath.basename(unquote(urlsplit(url).path))
    return base if base not in ("", ".", "..") and "\0" not in base and "/" not in base else _UNNAMED


def _checksum(text: str) -> tuple[str, str]:
    """Algorithm and digits; no digits when there is no checksum. Raises InvalidArgument."""
    if not text:
        return "sha256", ""
    algorithm, _, digits = text.partition(":")
    if _ALGORITHMS.get(algorithm) != len(digits) or not all(digit in "0123456789abcdef" for digit in digits):
        raise InvalidArgument(f"invalid checksum digest format: {text}")
    return algorithm, digits


def _selection(root: Path, dockerfile: str) -> Selection:
    """What of a repository belongs to the context; all of it where ``dockerfile`` is empty. Raises InvalidArgument."""
    if dockerfile:
        for path in (root / f"{dockerfile}{FILE_NAME}", root / FILE_NAME):
            if path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(root.resolve()):
                with path.open("rb") as file:
                    patterns = parse_ignore_file(file.read(SIZE_LIMIT + 1))
                return Selection(Matcher(patterns), (dockerfile,))
    return Selection(Matcher(()))


def _fresh(directory: Path) -> Path:
    return directory / f"fetched-{secrets.token_hex(8)}"


def _is_tar(place: Path) -> bool:
    """Whether a file is a tar, compressed or not."""
    with place.open("rb") as file:
        begin = file.read(512)
    return begin.startswith(_BEGINNINGS) or begin[257:262] == b"ustar"


def _pieces(place: Path) -> Iterator[bytes]:
    with place.open("rb", buffering=0) as file:
        while piece := file.read(_CHUNK):
            yield piece


async def _threaded(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces that take time to be made, off the event loop."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
