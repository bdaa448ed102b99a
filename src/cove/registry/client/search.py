"""Looking for images: by Docker Hub's first protocol, or where there is none by the names in a registry's catalog."""

from collections.abc import Callable, Sequence

import msgspec

from cove.errors import InvalidArgument, Upstream
from cove.filters import Filters
from cove.registry.client.authorization import Credentials
from cove.registry.client.failures import RegistryError
from cove.registry.client.session import Request, Session, read_bounded
from cove.registry.client.settings import Registries

HUB_INDEX = "index.docker.io"
MAX_ANSWER = 4 << 20
PAGE = 1000
MAX_NAMES = 100_000
FILTERS = ("is-automated", "is-official", "stars")


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image, as an index tells of it."""

    name: str
    description: str | None = ""
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


class _Results(msgspec.Struct):
    results: list[Found] | None = None


async def search(
    term: str, limit: int, filters: Filters, credentials: Credentials, registries: Registries
) -> list[Found]:
    """At most ``limit`` images. ``term``: ``host/words`` for another index than Docker Hub's.

    Raises InvalidArgument naming a bad filter, Upstream in Docker's words.
    """
    wanted = _wanted(filters)
    host, words = _split(term)
    async with Session(host, credentials, registries, reading=False) as session:
        found = await _by_index(session, words, limit)
        if found is None:
            found = await _by_catalog(session, words)
    return [each for each in found if wanted(each)][:limit]


def _split(term: str) -> tuple[str, str]:
    if "://" in term:
        raise InvalidArgument("invalid repository name: repository name (" + term + ") should not have a scheme")
    first, slash, rest = term.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return (HUB_INDEX if first in ("docker.io", HUB_INDEX) else first), rest
    return HUB_INDEX, term.removeprefix("library/")


def _wanted(filters: Filters) -> Callable[[Found], bool]:
    """What decides whether an image passes. Raises InvalidArgument naming a filter or its value."""
    filters.check(FILTERS)
    official, automated = filters.boolean("is-official"), filters.boolean("is-automated")
    stars = max([_stars(value) for value in filters.get("stars", ())], default=0)
    return lambda each: (
        (official is None or each.is_official == official)
        and (automated is None or each.is_automated == automated)
        and each.star_count >= stars
    )


def _stars(value: str) -> int:
    if not value.isdigit() or len(value) > 9:
        raise InvalidArgument(f"invalid filter 'stars={value}'")
    return int(value)


async def _by_index(session: Session, words: str, limit: int) -> list[Found] | None:
    """None where the protocol is not spoken."""
    base = (await session.address()).removesuffix("/v2")
    request = Request("GET", f"{base}/v1/search", query=[("q", words), ("n", str(limit))])
    try:
        async with session.request(request) as response:
            body = await read_bounded(response, MAX_ANSWER, "the index's answer")
    except RegistryError as error:
        if error.status in (400, 404, 405) and session.host != HUB_INDEX:
            return None
        raise Upstream(f"Unexpected status code {error.status}") from error
    try:
        return msgspec.json.decode(body, type=_Results).results or []
    except msgspec.MsgspecError as error:
        raise Upstream(f"the index's answer cannot be read: {error}") from error


async def _by_catalog(session: Session, words: str) -> list[Found]:
    """The repositories whose names have the words in them, named so that they can be pulled."""
    names: list[str] = []
    while len(names) < MAX_NAMES:
        query = [("n", str(PAGE)), *([("last", names[-1])] if names else [])]
        async with session.request(Request("GET", "_catalog", ("registry:catalog:*",), query=query)) as response:
            body = await read_bounded(response, MAX_ANSWER, "the registry's catalog")
            more = 'rel="next"' in response.headers.get("Link", "")
        page = _repositories(body)
        names += page
        if not more or not page:
            break
    return [Found(f"{session.host}/{name}") for name in names if words.lower() in name.lower()]


def _repositories(body: bytes) -> Sequence[str]:
    try:
        return msgspec.json.decode(body, type=dict[str, list[str] | None]).get("repositories") or []
    except msgspec.MsgspecError as error:
        raise Upstream(f"the registry's catalog cannot be read: {error}") from error
