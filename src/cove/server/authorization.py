"""Authorization plug-ins, in Docker's protocol: asked before a request is carried out, and before its answer goes out.

A plug-in is shown what a request changes, so that its JSON body is read before; ``Request`` takes no other JSON then.
What is a stream is not shown: bodies that are archives, and answers that have begun.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from cove.errors import CoveError, Forbidden, Internal, InvalidArgument
from cove.server.caller import caller_of
from cove.server.request import JSON, whole

_REQUEST, _RESPONSE = "AuthZPlugin.AuthZReq", "AuthZPlugin.AuthZRes"
_SECRET_HEADERS = frozenset(("x-registry-auth", "x-registry-auth-target", "x-registry-config"))
_SECRET_PATH = "/auth"
"""The end of a path whose bodies are passwords and tokens. No plug-in sees either, as with Docker."""


class Plugin(Protocol):
    async def call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Its answer. Raises CoveError with what it says is wrong."""


class Authorization:
    """``names``: of the plug-ins, which are asked in this order; all must allow. ``find``: raises CoveError."""

    def __init__(self, find: Callable[[str], Plugin]) -> None:
        self.names: Sequence[str] = ()
        self._find = find

    def check(self, names: Sequence[str]) -> None:
        """Raises InvalidArgument, in Docker's words, when there is no plug-in of a name."""
        for name in names:
            try:
                self._find(name)
            except CoveError as error:
                raise InvalidArgument(f"error validating authorization plugin: {error.message}") from error

    async def ask(self, raw: web.BaseRequest, target: str) -> "Asked | None":
        """Before anything else of a request; None when there is nobody to ask. Raises Forbidden, Internal.

        ``target``: the path and query by which a route will be found.
        """
        if not self.names:
            return None
        body = await _json_body(raw)
        asked = Asked(self._find, self.names, _shown(raw, target), body)
        await asked.judge(_REQUEST)
        return asked


class Asked:
    """A request that was allowed. ``body``: what was read of it, which is all; None: it is a stream, not read yet."""

    def __init__(
        self, find: Callable[[str], Plugin], names: Sequence[str], shown: dict[str, Any], body: bytes | None
    ) -> None:
        self.body = body
        self._find = find
        self._names = names
        self._shown = shown
        self._is_secret = shown["RequestURI"].partition("?")[0].endswith(_SECRET_PATH)
        self._show("RequestBody", body)

    async def confirm(self, response: web.StreamResponse) -> None:
        """Before a whole answer goes out. Raises Forbidden, Internal."""
        body = response.body if isinstance(response, web.Response) else None
        self._shown["ResponseStatusCode"] = response.status
        self._shown["ResponseHeaders"] = dict(response.headers)
        if isinstance(body, bytes) and response.content_type == JSON:
            self._show("ResponseBody", body)
        await self.judge(_RESPONSE)

    async def judge(self, method: str) -> None:
        """Raises Forbidden in the words of the first that does not allow it, Internal for one that fails."""
        for name in self._names:
            try:
                answer = await self._find(name).call(method, self._shown)
            except CoveError as error:
                raise Internal(f"plugin {name} failed with error: {error.message}") from error
            if answer.get("Allow") is not True:
                raise Forbidden(f"authorization denied by plugin {name}: {answer.get('Msg', '')}")

    def _show(self, field: str, body: bytes | None) -> None:
        if body and not self._is_secret:
            self._shown[field] = base64.b64encode(body).decode()


def _shown(raw: web.BaseRequest, target: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "RequestMethod": raw.method,
        "RequestURI": target,
        "RequestHeaders": _headers(raw.headers),
    }
    if name := caller_of(raw).certificate:
        shown |= {"User": name, "UserAuthNMethod": "TLS"}
    return shown


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _SECRET_HEADERS}


async def _json_body(raw: web.BaseRequest) -> bytes | None:
    """None for a body of another type. Raises InvalidArgument when it is too large."""
    if not raw.can_read_body or raw.content_type != JSON:
        return None
    return await whole(raw)
