"""From a method and a path to a handler.

Patterns are paths with ``{name}`` for one segment and ``{name*}`` for one or more, as image names have slashes.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from aiohttp import web

from cove.server.request import Request

Handler = Callable[[Request], Awaitable[web.StreamResponse]]

_VARIABLE = re.compile(r"\{(\w+)(\*?)\}")


class Route(NamedTuple):
    """``stream``: the handler may take long and ends with the client; any other POST, PUT or DELETE is carried out."""

    method: str
    pattern: str
    handler: Handler
    stream: bool = False

    @property
    def carried_out(self) -> bool:
        return not self.stream and self.method not in ("GET", "HEAD")


class Router:
    """Exact paths by look-up, then patterns by their first segment, in the order in which they were declared."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._patterns: dict[tuple[str, str], list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        if "{" not in route.pattern:
            self._exact[route.method, route.pattern] = route
            return
        key = route.method, _first_segment(route.pattern)
        self._patterns.setdefault(key, []).append((_compiled(route.pattern), route))

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and the variables of its path, or None. ``path`` is without its version, and decoded."""
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact, {}
        for pattern, route in self._patterns.get((method, _first_segment(path)), ()):
            match = pattern.fullmatch(path)
            if match is not None:
                return route, match.groupdict()
        return None


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = _VARIABLE.split(pattern)
    text = re.escape(parts[0])
    for name, greedy, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        text += f"(?P<{name}>{'.+' if greedy else '[^/]+'}){re.escape(literal)}"
    return re.compile(text, re.DOTALL)
