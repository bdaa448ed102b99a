"""Whether a registry takes a user's credentials: what ``docker login`` asks the engine."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import aiohttp

from cove.errors import CoveError, Unauthorized, Unavailable
from cove.registry.client import challenge
from cove.registry.client.places import Place, places

CLIENT_ID = "docker"
"""What token servers are told that the client is; they give an identity token to those that they know."""

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)
MAX_ANSWER = 1 << 20
"""Bytes of a registry's answer that are read here."""


class Credentials(NamedTuple):
    """``identity_token``: what an earlier login gave, instead of a password."""

    username: str
    password: str
    identity_token: str = ""


async def login(host: str, credentials: Credentials, insecure: Sequence[str] = ()) -> str:
    """Try credentials at a registry; the identity token that it gives, often none.

    Raises Unauthorized when they are refused, Unavailable when the registry cannot be asked; in Docker's words.
    """
    failure: CoveError | None = None
    async with aiohttp.ClientSession(timeout=TIMEOUT, trust_env=True) as session:
        for place in places(host, insecure):
            try:
                return await _login(session, place, credentials)
            except Unavailable as error:
                failure = error
    assert failure is not None
    raise failure


class _Answer(NamedTuple):
    status: int
    reason: str
    challenge: str
    body: bytes


async def _login(session: aiohttp.ClientSession, place: Place, credentials: Credentials) -> str:
    url = f"{place.url}/v2/"
    answer = await _get(session, place, url)
    if answer.status != 401:
        return _outcome(url, answer)
    asked = challenge.parse(answer.challenge)
    if asked.scheme == "bearer":
        token, identity = await _token(session, place, url, asked.parameters, credentials)
        return _outcome(url, await _get(session, place, url, {"Authorization": f"Bearer {token}"}), identity)
    basic = aiohttp.BasicAuth(credentials.username, credentials.password).encode()
    return _outcome(url, await _get(session, place, url, {"Authorization": basic}))


async def _token(
    session: aiohttp.ClientSession, place: Place, url: str, asked: dict[str, str], credentials: Credentials
) -> tuple[str, str]:
    """A bearer token, and an identity token if there is one (distribution's token authentication)."""
    query = {"account": credentials.username, "client_id": CLIENT_ID, "offline_token": "true"}
    query |= {name: asked[name] for name in ("service", "scope") if name in asked}
    headers = {"Authorization": aiohttp.BasicAuth(credentials.username, credentials.password).encode()}
    if credentials.identity_token:
        query["refresh_token"] = credentials.identity_token
        headers = {}
    answer = await _get(session, place, asked.get("realm", ""), headers, query)
    if answer.status == 401:
        raise Unauthorized(f'Get "{url}": unauthorized: {_message(answer.body)}')
    try:
        given = json.loads(answer.body) if answer.status == 200 else None
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Unavailable(f'Get "{url}": the token server answered {answer.status} {answer.reason}')
    token = given.get("token") or given.get("access_token")
    if not isinstance(token, str):
        raise Unavailable(f'Get "{url}": authorization server did not include a token in the response')
    return token, str(given.get("refresh_token") or "")


async def _get(
    session: aiohttp.ClientSession,
    place: Place,
    url: str,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
) -> _Answer:
    try:
        async with session.get(url, headers=headers, params=query, ssl=place.verify) as response:
            body = await response.content.read(MAX_ANSWER)
            asked = response.headers.get("WWW-Authenticate", "")
            return _Answer(response.status, response.reason or "", asked, body)
    except TimeoutError as error:
        raise Unavailable(f'Get "{url}": the registry did not answer in time') from error
    except (aiohttp.ClientError, ValueError) as error:
        raise Unavailable(f'Get "{url}": {error}') from error


def _outcome(url: str, answer: _Answer, identity: str = "") -> str:
    if answer.status == 200:
        return identity
    words = f"login attempt to {url} failed with status: {answer.status} {answer.reason}"
    raise Unauthorized(words) if answer.status in (401, 403) else Unavailable(words)


def _message(body: bytes) -> str:
    """What the first error of an answer says (distribution-spec, error codes)."""
    try:
        return str(json.loads(body)["errors"][0]["message"])
    except (ValueError, KeyError, IndexError, TypeError):
        return "authentication required"
