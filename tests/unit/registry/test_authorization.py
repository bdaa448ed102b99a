"""Who one is to a registry: Basic, tokens for scopes, identity tokens, and when they are asked for anew."""

import asyncio
import json
from collections.abc import Callable

import pytest

from cove.errors import Upstream
from cove.registry.client.authorization import NOBODY, Answer, Asked, Authorization, Credentials
from cove.registry.client.challenge import parse
from cove.registry.client.failures import NoCredentials, TokenRefused

BEARER = parse('Bearer realm="https://auth.test/token",service="registry.test"')
PULL, PUSH = ("repository:a/b:pull",), ("repository:a/b:pull,push",)


class TokenServer:
    """Gives a new token each time. ``answer``: what else it says, or another status."""

    def __init__(self, status: int = 200, **answer: object) -> None:
        self.asked: list[Asked] = []
        self._status = status
        self._answer = answer

    async def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        body = {"token": f"t{len(self.asked)}", **self._answer}
        return Answer(self._status, "Whatever", json.dumps(body).encode())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _headers(authorization: Authorization, *scopes: tuple[str, ...]) -> list[str]:
    async def all_of_them() -> list[str]:
        return [await authorization.header(each) for each in scopes]

    return asyncio.run(all_of_them())


def _made(
    server: TokenServer, credentials: Credentials = NOBODY, clock: Callable[[], float] = lambda: 0.0
) -> Authorization:
    authorization = Authorization(credentials, server, clock)
    authorization.expect(BEARER)
    return authorization


def test_nothing_is_shown_before_it_is_asked_for() -> None:
    authorization = Authorization(Credentials("u", "p"), TokenServer())
    assert _headers(authorization, PULL) == [""]


def test_a_token_for_each_set_of_scopes() -> None:
    server = TokenServer()
    found = _headers(_made(server), PULL, PULL, PUSH, PULL)
    assert found == ["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t1"]
    assert server.asked[0].query == [("service", "registry.test"), ("scope", PULL[0])]
    assert server.asked[0].headers == {}


def test_a_token_that_is_about_to_expire_is_replaced() -> None:
    server, clock = TokenServer(expires_in=300), Clock()
    authorization = _made(server, clock=clock)
    assert _headers(authorization, PULL) == ["Bearer t1"]
    clock.now = 290.0
    assert _headers(authorization, PULL) == ["Bearer t1"]
    clock.now = 296.0
    assert _headers(authorization, PULL) == ["Bearer t2"]


def test_the_password_is_shown_to_the_token_server_alone() -> None:
    server = TokenServer(refresh_token="keep")
    authorization = _made(server, Credentials("u", "p"))
    assert _headers(authorization, PULL) == ["Bearer t1"]
    (asked,) = server.asked
    assert asked.headers == {"Authorization": "Basic dTpw"} and ("account", "u") in asked.query
    assert authorization.identity_token == "keep"


def test_an_identity_token_is_exchanged() -> None:
    server = TokenServer(access_token="a1", token=None)
    authorization = _made(server, Credentials("u", "", "identity"))
    assert _headers(authorization, PULL) == ["Bearer a1"]
    (asked,) = server.asked
    assert asked.form is not None and asked.headers == {}
    assert asked.form["grant_type"] == "refresh_token" and asked.form["refresh_token"] == "identity"


def test_a_registry_token_is_sent_as_it_is() -> None:
    authorization = _made(TokenServer(), Credentials(registry_token="given"))
    assert _headers(authorization, PULL) == ["Bearer given"]


def test_a_token_server_that_refuses() -> None:
    refusing = TokenServer(401, errors=[{"code": "UNAUTHORIZED", "message": "incorrect username or password"}])
    with pytest.raises(TokenRefused, match="unauthorized: incorrect username or password"):
        _headers(_made(refusing), PULL)
    with pytest.raises(Upstream, match="did not include a token"):
        _headers(_made(TokenServer(token=None)), PULL)


def test_basic_needs_a_password() -> None:
    basic = parse('Basic realm="x"')
    nobody = Authorization(NOBODY, TokenServer())
    with pytest.raises(NoCredentials, match='Head "https://x": no basic auth credentials'):
        nobody.answer(basic, PULL, "HEAD", "https://x")
    somebody = Authorization(Credentials("u", "p"), TokenServer())
    assert somebody.answer(basic, PULL, "GET", "https://x")
    assert _headers(somebody, PULL) == ["Basic dTpw"]
    assert not somebody.answer(basic, PULL, "GET", "https://x", shown="Basic dTpw")


def test_one_token_for_all_that_want_it_at_the_same_time() -> None:
    server = TokenServer()
    authorization = _made(server)

    async def together() -> list[str]:
        return await asyncio.gather(*(authorization.header(PULL) for _ in range(8)))

    assert asyncio.run(together()) == ["Bearer t1"] * 8 and len(server.asked) == 1


def test_a_token_that_another_request_has_replaced_meanwhile() -> None:
    authorization = _made(TokenServer())
    assert _headers(authorization, PULL) == ["Bearer t1"]
    assert authorization.answer(BEARER, PULL, "GET", "https://x", shown="")
    assert not authorization.answer(BEARER, PULL, "GET", "https://x", shown="Bearer t1")
    assert _headers(authorization, PULL) == ["Bearer t2"]
    assert authorization.answer(BEARER, PULL, "GET", "https://x", shown="Bearer t1")
    assert _headers(authorization, PULL) == ["Bearer t2"]
