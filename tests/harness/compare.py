"""Asking two engines the same things and comparing what they answer.

A case is a function from an engine to what was observed: a mapping of names to values, which may be nested.
``compared`` runs it on both and gives every place where the two differ. A place is a path: ``running.State.Health``.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from harness.engine import Engine
from harness.rawhttp import Response

API = "/v1.41"
"""The newest version that Docker's engine 20.10 speaks."""

ABSENT = "(absent)"
_SCRUBBED = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "SHORT-ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)"), "TIME"),
    (re.compile(r"/tmp/cove-test-[\w-]+"), "ROOT"),
)

Observed = Mapping[str, Any]


class Difference(NamedTuple):
    """A place where the engines may differ, and why. ``at`` is a pattern over the places of one case."""

    case: str
    at: str
    reason: str


class Found(NamedTuple):
    """A difference that was found: what each engine shows at a place."""

    at: str
    ours: Any
    docker: Any

    def __str__(self) -> str:
        return f"{self.at}\n    ours:   {self.ours}\n    docker: {self.docker}"


def read_differences(path: Path) -> list[Difference]:
    with path.open("rb") as table:
        return [Difference(**row) for row in tomllib.load(table)["difference"]]


def compared(case: Callable[[Engine], Observed], ours: Engine, docker: Engine) -> list[Found]:
    left, right = dict(_flat("", case(ours))), dict(_flat("", case(docker)))
    places = [*left, *(place for place in right if place not in left)]
    both = [Found(place, left.get(place, ABSENT), right.get(place, ABSENT)) for place in places]
    return [found for found in both if found.ours != found.docker]


def unexplained(found: list[Found], rows: list[Difference]) -> list[str]:
    """What no row explains, and every row that explains nothing."""
    open_ones = [str(each) for each in found if not any(fnmatchcase(each.at, row.at) for row in rows)]
    idle = [row for row in rows if not any(fnmatchcase(each.at, row.at) for each in found)]
    return open_ones + [f"{row.at}: no longer differs; remove the row ({row.reason})" for row in idle]


def _flat(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(f"{place}{'.' if place else ''}{key}", each)
    else:
        yield place, value


def scrubbed(text: str) -> str:
    """Without identities and times, which differ from run to run."""
    for pattern, word in _SCRUBBED:
        text = pattern.sub(word, text)
    return text


def ask(engine: Engine, method: str, target: str, body: Any = None) -> Response:
    return engine.http(method, API + target, body)


def answer(engine: Engine, method: str, target: str, body: Any = None) -> str:
    """Status and, when there is one, the message of an answer."""
    got = engine.http(method, API + target, body, {"Content-Type": "application/json"})
    if got.status < 400:
        return str(got.status)
    try:
        return f"{got.status} {scrubbed(got.json()['message']).strip()}"
    except (ValueError, KeyError):
        return f"{got.status} {got.body!r}"


def shape(value: Any) -> Any:
    """The types of a JSON value: of an object per key, of a list those of its elements together."""
    if isinstance(value, dict):
        return {scrubbed(key): shape(value[key]) for key in sorted(value)} or "object"
    if isinstance(value, list):
        merged: dict[str, Any] = {}
        for element in value:
            found = shape(element)
            old = merged.get("[]")
            merged["[]"] = {**old, **found} if isinstance(old, dict) and isinstance(found, dict) else found
        return merged or "list"
    return "null" if value is None else type(value).__name__


def shape_of(engine: Engine, target: str) -> Any:
    got = ask(engine, "GET", target)
    return shape(got.json()) if got.status == 200 else answer(engine, "GET", target)


def page(rows: list[Difference]) -> str:
    """The part of docs/compatibility.md that shows the rows: a table for each case."""
    parts = []
    for case in dict.fromkeys(row.case for row in rows):
        lines = [f"| `{row.at}` | {row.reason} |" for row in rows if row.case == case]
        parts.append("\n".join([f"### {case}", "", "| where | why |", "| --- | --- |", *lines]))
    return "\n\n".join(parts) + "\n"
