"""Whole answers: JSON, nothing, plain text, errors. Streams are in ``streaming``."""

from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web

from cove import __version__
from cove.wire import versions
from cove.wire.base import Wire
from cove.wire.coding import encode

HEADERS: Mapping[str, str] = {
    "Api-Version": versions.text(versions.NEWEST),
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"Cove/{__version__} (linux)",
}
"""Of every answer."""

JSON_HEADERS: Mapping[str, str] = {**HEADERS, "Content-Type": "application/json"}


def reply(value: Wire | Sequence[Wire], version: versions.ApiVersion, status: int = 200) -> web.Response:
    """JSON as ``version`` of the API shows it."""
    return web.Response(body=encode(value, version), status=status, headers=JSON_HEADERS)


def raw_reply(value: object, status: int = 200) -> web.Response:
    """JSON of plain values."""
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, headers=JSON_HEADERS)


def empty_reply(status: int = 204) -> web.Response:
    """No body."""
    return web.Response(status=status, headers=HEADERS)


def error_reply(status: int, message: str) -> web.Response:
    """The form of every error; 304 has no body."""
    return empty_reply(status) if status == 304 else raw_reply({"message": message}, status)
