"""From a method and a path to a handler."""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from aiohttp import web

from cove.registry.server import names
from cove.registry.server.failures import NOT_FOUND, UNSUPPORTED, RegistryError
from cove.registry.server.request import Request

Handler = Callable[[Request], Awaitable[web.StreamResponse]]

NAME = "/v2/(?P<name>.+)"
"""A repository in a path: all up to the last words that a route knows, as names have slashes."""


class Route(NamedTuple):
    """``pattern``: of the whole path; its groups are the request's variables."""

    methods: tuple[str, ...]
    pattern: str
    handler: Handler


class Router:
    """The first pattern that fits is taken, so the order of the routes counts."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route, re.compile(route.pattern)) for route in routes]

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]]:
        """Raises RegistryError: nothing there, a method that is not for it, or a name that is none."""
        methods: set[str] = set()
        for route, pattern in self._routes:
            if match := pattern.fullmatch(path):
                if method in route.methods:
                    return route.handler, _checked(match.groupdict())
                methods.update(route.methods)
        if methods:
            raise RegistryError(UNSUPPORTED, headers={"Allow": ", ".join(sorted(methods))})
        raise RegistryError(NOT_FOUND, {"path": path[:300]})


def _checked(variables: dict[str, str]) -> dict[str, str]:
    if "name" in variables:
        names.repository(variables["name"])
    return variables
