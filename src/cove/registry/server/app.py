"""Every request: who asks, which handler, which error."""

import errno
import logging
import time
from typing import Protocol

from aiohttp import web

from cove.registry.server.failures import NO_SPACE, UNKNOWN, UNSUPPORTED, Code, RegistryError
from cove.registry.server.request import Request, document
from cove.registry.server.routing import Router

GONE = 499
"""For nobody to read: nginx's word for a client that did not wait."""

READING = ("GET", "HEAD")

log = logging.getLogger(__name__)


class Guard(Protocol):
    """Who may ask. ``admit`` gives the user's name, or raises RegistryError."""

    async def admit(self, authorization: str) -> str: ...


class App:
    """``read_only``: nothing can be changed."""

    def __init__(self, router: Router, guard: Guard | None, read_only: bool) -> None:
        self._router = router
        self._guard = guard
        self._read_only = read_only

    async def handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        started, user = time.monotonic(), "-"
        try:
            if self._guard is not None:
                user = await self._guard.admit(raw.headers.get("Authorization", ""))
            response = await self._answer(raw)
        except RegistryError as error:
            response = _refusal(error)
        except ConnectionError:
            log.info("%s %s %s %s: the client went away", raw.remote, user, raw.method, raw.path_qs)
            raw.protocol.force_close()
            return web.Response(status=GONE)
        except OSError as error:
            response = _failed_disk(error)
        except Exception:
            log.exception("%s %s failed", raw.method, raw.path)
            response = _refusal(RegistryError(UNKNOWN))
        took = (time.monotonic() - started) * 1000
        log.info("%s %s %s %s %d %.1f ms", raw.remote, user, raw.method, raw.path_qs, response.status, took)
        return response

    async def _answer(self, raw: web.BaseRequest) -> web.StreamResponse:
        if self._read_only and raw.method not in READING:
            raise RegistryError(UNSUPPORTED, {"reason": "this registry is read-only"})
        handler, variables = self._router.find(raw.method, raw.path)
        if raw.headers.get("Expect", "").lower() == "100-continue" and raw.transport is not None:
            raw.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await handler(Request(raw, variables))


def _refusal(error: RegistryError) -> web.Response:
    return document(error.document, error.code.status, error.headers)


def _failed_disk(error: OSError) -> web.Response:
    log.error("the store failed: %s", error)
    code: Code = NO_SPACE if error.errno in (errno.ENOSPC, errno.EDQUOT) else UNKNOWN
    return _refusal(RegistryError(code))
