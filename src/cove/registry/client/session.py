"""Requests to one registry for one caller: its addresses, authorization, retries and redirects.

::

    async with Session("registry-1.docker.io", credentials, registries) as session:
        async with session.request("GET", "library/busybox/tags/list", scopes) as response: …
"""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import aiohttp

from cove.errors import CoveError, Upstream
from cove.registry.client import authorization, challenge, retrying
from cove.registry.client.answered import Answered
from cove.registry.client.authorization import Authorization, Credentials
from cove.registry.client.failures import RegistryError, Unreachable, refused, request_words, unreachable
from cove.registry.client.loopback import Loopback
from cove.registry.client.places import ALWAYS_INSECURE, Place, is_among, places
from cove.registry.client.proxying import proxy_for
from cove.registry.client.settings import DEFAULTS, Patience, Registries
from cove.registry.client.trust import trust_in

MAX_REDIRECTS = 10
MAX_ERROR = 1 << 16
"""Bytes of an error's body that are read."""
READ_BUFFER = 1 << 19
"""Bytes of one body that wait for their reader; twice as many at most."""
CHALLENGES = 3
"""Times that one request may be answered by a challenge."""

Body = Callable[[], Any]
"""Makes a request's body anew for each attempt."""

_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


class Request(NamedTuple):
    """``path``: below ``/v2/``, or a whole URL. ``scopes``: what a token must allow. ``accept``: statuses that are no
    errors. ``once``: it must not be repeated.
    """

    method: str
    path: str
    scopes: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}
    query: Sequence[tuple[str, str]] = ()
    body: Body | None = None
    accept: tuple[int, ...] = (200,)
    once: bool = False


class Session:
    """Use as a context. ``reading``: whether mirrors will do. ``redirects`` never carry credentials elsewhere."""

    def __init__(
        self,
        host: str,
        credentials: Credentials = authorization.NOBODY,
        registries: Registries = DEFAULTS,
        *,
        reading: bool = True,
    ) -> None:
        self.host = host
        self.registries = registries
        self._credentials = credentials
        self._reading = reading
        self._mirrors: list[_Reached] = []
        self._own: list[_Reached] = []
        self._looking = asyncio.Lock()
        self._found: _Reached | None = None

    async def __aenter__(self) -> "Session":
        patience = self.registries.patience
        self._http = aiohttp.ClientSession(
            timeout=_timeout(patience, patience.seconds),
            connector=aiohttp.TCPConnector(limit=0, enable_cleanup_closed=False, resolver=Loopback()),
            auto_decompress=False,
            read_bufsize=READ_BUFFER,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "cove", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    @asynccontextmanager
    async def request(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer, at the first place that gives one. A mirror that fails is passed over.

        Raises RegistryError for a refusal, Unreachable, NoCredentials; in Docker's words.
        """
        response = await self._anywhere(request)
        try:
            yield response
        finally:
            response.close() if not response.content.at_eof() else response.release()

    async def address(self) -> str:
        """The URL of the API where the registry itself answers, without a final slash. Raises Unreachable."""
        self._find_places()
        return (await self._itself()).place.api

    async def _anywhere(self, request: Request) -> aiohttp.ClientResponse:
        """At each mirror once, then at the registry. A mirror that fails is not asked again in this session."""
        self._find_places()
        for mirror in self._mirrors:
            if await mirror.answers():
                try:
                    return await mirror.perform(request)
                except CoveError as error:
                    if isinstance(error, Upstream) and retrying.may_pass(error):
                        mirror.failure = error
        return await self._where_it_was(request) or await (await self._itself()).perform(request)

    async def _where_it_was(self, request: Request) -> aiohttp.ClientResponse | None:
        """On the loopback the first question is asked where the last session had an answer, not first whether there
        is one. None when that does not do, whatever the reason: it is looked for then, which tells.
        """
        if self._found is None and request.method in ("GET", "HEAD") and (last := self._last()):
            try:
                response = await last.perform(request._replace(once=True))
            except RegistryError as error:
                if error.code and error.status not in retrying.STATUSES:  # as registries say it, for good
                    raise
            except Upstream:
                pass
            else:
                self._found = last
                return response
        return None

    @property
    def _answered(self) -> Answered | None:
        """Of a registry on the loopback: where those answered before."""
        return self.registries.answered if is_among(self.host, ALWAYS_INSECURE) else None

    def _last(self) -> "_Reached | None":
        last = self._answered.url(self.host) if self._answered else ""
        return next((reached for reached in self._own if reached.place.url == last), None)

    def _find_places(self) -> None:
        """Looks for a few names on the disk, which is less work than to have a thread do it."""
        if not self._own:
            found = places(self.host, self.registries, reading=self._reading)
            reached = [_Reached(place, self._http, self.registries, self._credentials) for place in found]
            self._mirrors = [each for each in reached if each.place.mirror]
            self._own = [each for each in reached if not each.place.mirror]

    async def _itself(self) -> "_Reached":
        """The registry at the first of its own addresses that answers. Raises Unreachable."""
        async with self._looking:
            if self._found is None:
                self._found = await self._look()
            return self._found

    async def _look(self) -> "_Reached":
        """On the loopback the address that answered the last session comes first.

        Elsewhere TLS does, always: that something answered without it once must not keep a caller from it.
        """
        last = self._last()
        if last and await last.answers() and last.is_registry:
            return last
        for reached in self._own:
            if await reached.answers():
                if self._answered:
                    self._answered.note(self.host, reached.place.url)
                return reached
        failure = self._own[-1].failure
        assert failure is not None
        raise failure

    @property
    def identity_token(self) -> str:
        """What the token server gave in exchange for a password, if it did."""
        return next(
            (token for reached in (*self._own, *self._mirrors) if (token := reached.authorization.identity_token)), ""
        )


class _Reached:
    """One place of a registry, and what it wants to see."""

    def __init__(
        self, place: Place, http: aiohttp.ClientSession, registries: Registries, credentials: Credentials
    ) -> None:
        self.place = place
        self._http = http
        self._registries = registries
        self._trust: ssl.SSLContext | bool | None = None
        self._patient = _timeout(registries.patience, registries.patience.taking)
        self._asking = asyncio.Lock()
        self._asked = False
        self.failure: Upstream | None = None
        """Why it cannot be reached, once that has been tried; of a mirror also why it is not asked any more."""
        self.is_registry = False
        """Whether it answered as registries do."""
        self.authorization = Authorization(authorization.NOBODY if place.mirror else credentials, self._ask)

    async def answers(self) -> bool:
        """Whether it is there; it is asked once."""
        async with self._asking:
            if not self._asked:
                try:
                    await self._ping()
                except Upstream as error:
                    self.failure = error
                self._asked = True
        return self.failure is None

    async def _ping(self) -> None:
        """Learn whether it is there, and what it asks for. Raises Unreachable, RegistryError."""
        url = f"{self.place.api}/"
        response = await self._send("GET", url, {}, (), None)
        self.is_registry = response.status in (200, 401)
        try:
            if response.status == 401:
                self.authorization.expect(challenge.parse(response.headers.get("WWW-Authenticate", "")))
            elif self.place.mirror and response.status != 200:
                raise await _refusal(response, "GET", url)
        finally:
            response.release()

    async def perform(self, request: Request) -> aiohttp.ClientResponse:
        """The answer to a request, after as many attempts as it may have; a mirror has one."""
        attempts = 1 if request.once or self.place.mirror else self._registries.attempts
        for attempt in range(1, attempts + 1):
            response = await self._try(request, last=attempt == attempts)
            if response is None:
                await retrying.pause(attempt, 0.0, self._registries.patience, random.random())
            elif response.status in retrying.STATUSES and attempt < attempts:
                asked = retrying.asked_seconds(response.headers.get("Retry-After", ""))
                response.close()
                await retrying.pause(attempt, asked, self._registries.patience, random.random())
            elif response.status in request.accept:
                return response
            else:
                error = await _refusal(response, request.method, str(response.url))
                response.close()
                raise error
        raise AssertionError("the last attempt answers or raises")

    async def _try(self, request: Request, *, last: bool) -> aiohttp.ClientResponse | None:
        """One attempt, with the challenges that it meets; None when the connection broke."""
        url = self._url(request.path)
        for _ in range(CHALLENGES):
            headers, query = await self._shown(request, url)
            try:
                response = await self._send(request.method, url, headers, query, request.body)
            except Unreachable:
                if last:
                    raise
                return None
            if response.status != 401:
                return response
            asked = challenge.parse(response.headers.get("WWW-Authenticate", ""))
            shown = headers.get("Authorization", "")
            if not self.authorization.answer(asked, request.scopes, request.method, url, shown=shown):
                return response
            response.close()
        raise refused(401, "Unauthorized", b"", request_words(request.method, url))

    def _is_ours(self, url: str) -> bool:
        """Whether a URL, be it one that the registry named, is its own: only such are shown who the caller is."""
        return urlsplit(url).netloc == urlsplit(self.place.url).netloc

    async def _shown(self, request: Request, url: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """Headers and query of a request; what is for this place is shown to no other."""
        headers, query = dict(request.headers), list(request.query)
        if self._is_ours(url):
            headers = {**self.place.headers, **headers}
            if header := await self.authorization.header(request.scopes):
                headers["Authorization"] = header
            if self.place.namespace:
                query.append(("ns", self.place.namespace))
        return headers, query

    def _url(self, path: str) -> str:
        return path if "://" in path else f"{self.place.api}/{path}"

    async def _ask(self, asked: authorization.Asked) -> authorization.Answer:
        """Ask a token server, which may be without TLS only where its registry may."""
        scheme = urlsplit(asked.url).scheme
        if scheme not in ("https", "http") or (scheme == "http" and self.place.is_trusted):
            raise Upstream(f"the registry names a token server that is not to be trusted: {asked.url[:200]!r}")
        method = "GET" if asked.form is None else "POST"
        form = asked.form
        for attempt in range(1, self._registries.attempts + 1):
            response = await self._send(
                method, asked.url, asked.headers, asked.query, (lambda: aiohttp.FormData(form)) if form else None
            )
            try:
                if response.status in retrying.STATUSES and attempt < self._registries.attempts:
                    seconds = retrying.asked_seconds(response.headers.get("Retry-After", ""))
                    await retrying.pause(attempt, seconds, self._registries.patience, random.random())
                    continue
                body = await read_bounded(response, authorization.MAX_TOKEN, "the token server's answer")
                return authorization.Answer(response.status, response.reason or "", body)
            finally:
                response.close()
        raise AssertionError("the last attempt answers")

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], query: Sequence[tuple[str, str]], body: Body | None
    ) -> aiohttp.ClientResponse:
        """Follow redirects by hand: other hosts are not shown what is for this one. Raises Unreachable, Upstream."""
        shown = dict(headers)
        for _ in range(MAX_REDIRECTS):
            response = await self._once(method, url, shown, query, body)
            if response.status not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                return response
            response.close()
            target, query = urljoin(url, response.headers["Location"]), ()
            shown = self._after_redirect(shown, url, target)
            url = target
        raise Upstream(f"{request_words(method, url)}: stopped after {MAX_REDIRECTS} redirects")

    def _after_redirect(self, headers: dict[str, str], url: str, target: str) -> dict[str, str]:
        old, new = urlsplit(url), urlsplit(target)
        if new.scheme not in ("https", "http") or (
            old.scheme == "https" and new.scheme == "http" and self.place.is_trusted
        ):
            raise Upstream(f"the registry redirects to what is not to be trusted: {target[:200]!r}")
        if (old.scheme, old.netloc) == (new.scheme, new.netloc):
            return headers
        private = {"authorization", *(name.lower() for name in self.place.headers)}
        return {name: value for name, value in headers.items() if name.lower() not in private}

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], query: Sequence[tuple[str, str]], body: Body | None
    ) -> aiohttp.ClientResponse:
        if self._trust is None:
            self._trust = await trust_in(self.place)
        try:
            return await self._http.request(
                method,
                url,
                headers=headers,
                params=list(query) or None,
                data=body() if body else None,
                timeout=self._patient if body else self._http.timeout,
                allow_redirects=False,
                ssl=self._trust,
                proxy=proxy_for(url, self._registries.proxies),
            )
        except _FAILURES as error:
            raise unreachable(method, url, error) from error


def _timeout(patience: Patience, answer: float) -> aiohttp.ClientTimeout:
    """``answer``: seconds of silence once the connection stands."""
    connecting = min(patience.connecting, patience.seconds)
    return aiohttp.ClientTimeout(total=None, sock_connect=connecting, sock_read=answer)


async def read_bounded(response: aiohttp.ClientResponse, limit: int, what: str) -> bytes:
    """A whole body of at most ``limit`` bytes. Raises Upstream when there is more, or when it breaks off."""
    found = bytearray()
    try:
        async for piece in response.content.iter_any():
            found += piece
            if len(found) > limit:
                raise Upstream(f"{what} is larger than {limit} bytes")
    except _FAILURES as error:
        raise unreachable(response.method, str(response.url), error) from error
    return bytes(found)


async def _refusal(response: aiohttp.ClientResponse, method: str, url: str) -> RegistryError:
    body = b""
    try:
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > MAX_ERROR:
                break
    except _FAILURES:
        pass
    error = refused(response.status, response.reason or "", body, f"{method} request to {url}")
    error.wait = retrying.asked_seconds(response.headers.get("Retry-After", ""))
    return error
