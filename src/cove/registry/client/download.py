"""What is at a URL that a user names, such as an archive: a bounded stream, through the daemon's proxies."""

import contextlib
import email.utils
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import aiohttp

from cove.errors import InvalidArgument, NotFound, Unavailable
from cove.registry.client.failures import words_of
from cove.registry.client.proxying import proxy_for
from cove.registry.client.settings import Registries

MOST_BYTES = 64 << 30
"""Of what is fetched."""
_CHUNK = 1 << 18
_CONDITIONS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
"""What a version is told apart by, and how to ask whether it is still that one; the first counts."""


class Download:
    """An answer that has begun. ``size``: bytes that were announced, or 0."""

    def __init__(self, url: str, response: aiohttp.ClientResponse) -> None:
        self._url = url
        self._response = response
        self.size = response.content_length or 0

    @property
    def changed(self) -> float:
        """When it was changed last, in seconds; 0 when the server does not say."""
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return max(0.0, email.utils.parsedate_to_datetime(self._response.headers["Last-Modified"]).timestamp())
        return 0.0

    @property
    def validators(self) -> dict[str, str]:
        """What the server says of this version of it, by header (RFC 9110, 8.8)."""
        return {name: self._response.headers[name] for name in _CONDITIONS if name in self._response.headers}

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes. Raises Unavailable when they break off, InvalidArgument when they are too many."""
        size = 0
        try:
            async for chunk in self._response.content.iter_chunked(_CHUNK):
                size += len(chunk)
                if size > MOST_BYTES:
                    raise InvalidArgument(f"{self._url} has more than {MOST_BYTES} bytes")
                yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _failed(self._url, error) from error


async def has_still(url: str, validators: Mapping[str, str], registries: Registries) -> bool:
    """Whether a server still has the version of which it said this. Raises NotFound, Unavailable."""
    condition = next(((asks, validators[says]) for says, asks in _CONDITIONS.items() if says in validators), None)
    if condition is None:
        return False
    async with _answered(url, registries, dict([condition])) as response:
        return response.status == 304


@contextlib.asynccontextmanager
async def download(url: str, registries: Registries) -> AsyncIterator[Download]:
    """Ask for what is at a URL; the connection lasts as long as the context. Raises NotFound, Unavailable."""
    async with _answered(url, registries, {}) as response:
        yield Download(url, response)


@contextlib.asynccontextmanager
async def _answered(
    url: str, registries: Registries, conditions: Mapping[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    headers = {"Accept-Encoding": "identity", **conditions}
    seconds = registries.patience.seconds
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
        asked = session.get(url, headers=headers, proxy=proxy_for(url, registries.proxies))
        try:
            response = await asked
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _failed(url, error) from error
        _check(url, response)
        yield response


def _check(url: str, response: aiohttp.ClientResponse) -> None:
    if response.status == 404:
        raise NotFound(f"failed to GET {url} with status 404 Not Found")
    if response.status >= 400:
        raise Unavailable(f"failed to GET {url} with status {response.status} {response.reason}")


def _failed(url: str, error: Exception) -> Unavailable:
    return Unavailable(f"failed to GET {url}: {words_of(error)}")
