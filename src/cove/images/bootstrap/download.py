"""Reads files of a mirror, over HTTP or from a directory, through the proxy that apt or the environment names."""

import hashlib
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self
from urllib.parse import unquote, urlsplit

import aiohttp

from cove.errors import InvalidArgument, Unavailable
from cove.images.bootstrap.machine import Machine
from cove.images.bootstrap.progress import Progress, Report
from cove.store import in_thread
from cove.urls import without_user

CHUNK = 1 << 18
ATTEMPTS = 3
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=30, sock_read=60)
_REPORT_EVERY = 1 << 19


class Expected(NamedTuple):
    """What a file must be: ``size`` in bytes, ``sha256`` in hexadecimal."""

    size: int
    sha256: str


class Downloads:
    """Downloads of one run; an async context manager, as it keeps its connections open."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self._machine = machine
        self._report = report
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False, raise_for_status=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def read(self, url: str, limit: int) -> bytes | None:
        """A file of at most ``limit`` bytes; None if there is none. Raises Unavailable."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._read_once(url, limit)
            except FileNotFoundError:
                return None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if attempt == ATTEMPTS or not _is_transient(error):
                    raise _unreadable(url, error) from error
        raise AssertionError("unreachable")

    async def save(self, url: str, target: Path, expected: Expected, name: str) -> bool:
        """Write a file to ``target`` if it is as expected; False if there is none.

        ``name``: for the progress. Raises Unavailable, also when size or hash differ; then there is no ``target``.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._save_once(url, target, expected, name)
                return True
            except FileNotFoundError:
                return False
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if attempt == ATTEMPTS or not _is_transient(error):
                    raise _unreadable(url, error) from error
        raise AssertionError("unreachable")

    async def _read_once(self, url: str, limit: int) -> bytes:
        content = bytearray()
        async for chunk in self._chunks(url):
            content += chunk
            if len(content) > limit:
                raise Unavailable(f"{without_user(url)} is larger than {limit} bytes")
        return bytes(content)

    async def _save_once(self, url: str, target: Path, expected: Expected, name: str) -> None:
        try:
            with target.open("wb") as file:
                sink = _Sink(file, url, expected)
                shown = 0
                async for chunk in self._chunks(url):
                    await in_thread(sink.add, chunk)
                    if sink.size - shown >= _REPORT_EVERY:
                        shown = sink.size
                        self._report(Progress("Downloading", name, shown, expected.size))
            sink.finish()
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        self._report(Progress("Download complete", name, expected.size, expected.size))

    def _chunks(self, url: str) -> AsyncIterator[bytes]:
        if url.startswith(("file:", "copy:")):
            return _file_chunks(Path(unquote(urlsplit(url).path)))
        return self._http_chunks(url)

    async def _http_chunks(self, url: str) -> AsyncIterator[bytes]:
        assert self._session
        async with self._session.get(url, proxy=proxy_for(url, self._machine)) as response:
            if response.status in (404, 410):
                raise FileNotFoundError(url)
            response.raise_for_status()
            async for chunk in response.content.iter_chunked(CHUNK):
                yield chunk


class _Sink:
    """A file being written, with its size and hash so far."""

    def __init__(self, file: BinaryIO, url: str, expected: Expected) -> None:
        self.size = 0
        self._file = file
        self._url = without_user(url)
        self._expected = expected
        self._hash = hashlib.sha256()

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self._expected.size:
            raise Unavailable(f"size of {self._url} is wrong: expected {self._expected.size} bytes, got more")
        self._hash.update(chunk)
        self._file.write(chunk)

    def finish(self) -> None:
        if self.size != self._expected.size:
            raise Unavailable(f"size of {self._url} is wrong: expected {self._expected.size} bytes, got {self.size}")
        if self._hash.hexdigest() != self._expected.sha256:
            expected, actual = self._expected.sha256, self._hash.hexdigest()
            raise Unavailable(f"hash of {self._url} is wrong: expected sha256 {expected}, got {actual}")


async def _file_chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await in_thread(file.read, CHUNK):
            yield chunk


def proxy_for(url: str, machine: Machine) -> str | None:
    """The proxy for a URL: apt.conf's for the host, or for the scheme, or the environment's (apt-transport-http(1))."""
    parts = urlsplit(url)
    scheme, host = parts.scheme, parts.hostname or ""
    names = [f"acquire::{scheme}::proxy::{host}", f"acquire::{scheme}::proxy"]
    if scheme == "https":
        names += [f"acquire::http::proxy::{host}", "acquire::http::proxy"]
    for name in names:
        if configured := machine.settings.get(name):
            return None if configured in ("DIRECT", "false") else _checked(configured, name)
    if urllib.request.proxy_bypass(host):
        return None
    from_environment = urllib.request.getproxies_environment().get(scheme)
    return _checked(from_environment, f"{scheme}_proxy") if from_environment else None


def _checked(proxy: str, name: str) -> str:
    if not proxy.startswith(("http://", "https://")):
        raise InvalidArgument(f"{name} is no proxy that can be used: only http:// and https:// are")
    return proxy


def _is_transient(error: Exception) -> bool:
    return not isinstance(error, aiohttp.ClientResponseError) or error.status >= 500


def _unreadable(url: str, error: Exception) -> Unavailable:
    if isinstance(error, aiohttp.ClientResponseError):
        reason = f"HTTP status {error.status}"
    elif isinstance(error, aiohttp.ClientConnectorError):
        reason = f"{error.host}: {error.os_error.strerror or error.os_error}"
    else:
        reason = str(error) or type(error).__name__
    return Unavailable(f"cannot read {without_user(url)}: {reason}")
