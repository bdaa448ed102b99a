"""How a caller shows a registry who they are: Basic, or tokens from the server that the registry names.

Tokens are kept for their scopes until shortly before they expire (distribution's token authentication; OAuth2 for
identity tokens).
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import aiohttp

from cove.errors import Upstream
from cove.registry.client.challenge import Challenge
from cove.registry.client.failures import NoCredentials, TokenRefused, refused, request_words

CLIENT_ID = "docker"
"""What token servers are told that the client is; they give an identity token to those that they know."""

MAX_TOKEN = 1 << 20
"""Bytes of a token server's answer."""
LIFE = 60
"""Seconds that a token lasts when its server does not say."""
MARGIN = 5
"""Seconds before its end from which a token is not used any more."""


class Credentials(NamedTuple):
    """``identity_token``: what an earlier login gave, instead of a password. ``registry_token``: a bearer token that is
    sent as it is.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    @property
    def basic(self) -> str:
        """The header of Basic authentication, or nothing."""
        if not self.username and not self.password:
            return ""
        return aiohttp.encode_basic_auth(self.username, self.password)


NOBODY = Credentials()


class Asked(NamedTuple):
    """A request for a token. ``form``: the fields of a POST, else it is a GET with ``query``."""

    url: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    form: dict[str, str] | None = None


class Answer(NamedTuple):
    status: int
    reason: str
    body: bytes


Ask = Callable[[Asked], Awaitable[Answer]]


class _Token(NamedTuple):
    header: str
    until: float


class Authorization:
    """What one caller sends to one registry. ``ask`` reaches the token server."""

    def __init__(self, credentials: Credentials, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._credentials = credentials
        self._ask = ask
        self._clock = clock
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[str, ...], _Token] = {}
        self._asking: dict[tuple[str, ...], asyncio.Lock] = {}
        self.identity_token = ""
        """What the token server gave in exchange for a password, once there was one."""

    def expect(self, challenge: Challenge) -> None:
        """Remember what the registry asks for, before anything is asked of it."""
        if challenge.scheme in ("basic", "bearer"):
            self._challenge = challenge

    async def header(self, scopes: tuple[str, ...]) -> str:
        """``Authorization`` for a request with these scopes; empty while the registry has asked for nothing."""
        if self._credentials.registry_token:
            return f"Bearer {self._credentials.registry_token}"
        if self._challenge is None:
            return ""
        if self._challenge.scheme == "basic":
            return self._credentials.basic
        async with self._asking.setdefault(scopes, asyncio.Lock()):
            token = self._tokens.get(scopes)
            if token is None or token.until <= self._clock():
                token = self._tokens[scopes] = await self._token(self._challenge.parameters, scopes)
        return token.header

    def answer(self, challenge: Challenge, scopes: tuple[str, ...], method: str, url: str, *, shown: str = "") -> bool:
        """Take in what the registry asks for after a 401, when it was ``shown`` this; whether to ask again.

        Raises NoCredentials when it wants a password that nobody gave.
        """
        if challenge.scheme not in ("basic", "bearer"):
            return False
        self._challenge = challenge
        if challenge.scheme == "basic":
            if not self._credentials.basic:
                raise NoCredentials(f"{request_words(method, url)}: no basic auth credentials")
            return shown != self._credentials.basic
        known = self._tokens.get(scopes)
        if known is None or known.header != shown:  # another request has brought a new one meanwhile
            return True
        del self._tokens[scopes]
        return challenge.parameters.get("error", "") in ("invalid_token", "insufficient_scope")

    async def _token(self, asked: Mapping[str, str], scopes: tuple[str, ...]) -> _Token:
        request = self._request(asked, scopes or tuple(asked.get("scope", "").split()))
        answer = await self._ask(request)
        if answer.status != 200:
            words = request_words("Get", request.url)
            raise refused(answer.status, answer.reason, answer.body, words, TokenRefused)
        given = _parsed(answer.body)
        token = given.get("token") or given.get("access_token")
        if not isinstance(token, str):
            raise Upstream(
                f"{request_words('Get', request.url)}: authorization server did not include a token in the response"
            )
        self.identity_token = str(given.get("refresh_token") or "")
        life = given.get("expires_in")
        seconds = max(life if isinstance(life, int) else LIFE, LIFE)
        return _Token(f"Bearer {token}", self._clock() + seconds - MARGIN)

    def _request(self, asked: Mapping[str, str], scopes: tuple[str, ...]) -> Asked:
        realm, service = asked.get("realm", ""), asked.get("service", "")
        credentials = self._credentials
        if credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": credentials.identity_token,
                "client_id": CLIENT_ID,
                "service": service,
                "scope": " ".join(scopes),
            }
            return Asked(realm, [], {}, {name: value for name, value in form.items() if value})
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        if credentials.username:
            query += [("account", credentials.username), ("client_id", CLIENT_ID), ("offline_token", "true")]
        return Asked(realm, query, {"Authorization": credentials.basic} if credentials.basic else {})


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}
