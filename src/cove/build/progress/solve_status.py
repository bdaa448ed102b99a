"""What happens in a build as BuildKit's clients know it: the status of vertices and their output, as plain values.

A vertex is told about when something of it changes; its digest tells vertices apart and nothing else.
"""

import base64
import hashlib
from typing import Any

from cove.build.outputs.assembling import moment
from cove.build.planning.graph import Vertex
from cove.build.progress.progress import Checked, Event, Explained, Failed, Finished, Logged, Noted, Planned, Started
from cove.dockerfile.checks import Finding


class SolveStatus:
    """Give it every event in order."""

    def __init__(self) -> None:
        self._digests: dict[Vertex, str] = {}
        self._started: dict[str, str] = {}
        self._places: dict[int, int] = {}

    def of(self, event: Event) -> dict[str, Any] | None:
        """What a client is told: ``vertexes``, ``logs``, ``warnings``, ``explanations``, ``total``; None is nothing."""
        match event:
            case Checked(findings, name, source):
                return {"warnings": [_warning(finding, name, source) for finding in findings]}
            case Planned(recipes):
                steps = [step for recipe in recipes for stage in recipe.stages for step in stage.steps]
                self._places = {id(step.vertex or step): place for place, step in reversed(list(enumerate(steps)))}
                return {"total": sum(recipe.steps for recipe in recipes)}
            case Started(vertex, at):
                self._started[self._digest(vertex)] = moment(at)
                return {"vertexes": [self._vertex(vertex)]}
            case Logged(vertex, stream, data):
                text = base64.b64encode(data).decode()
                return {"logs": [{"vertex": self._digest(vertex), "stream": stream, "data": text}]}
            case Explained(step, hit, reasons):
                told = {"step": self._places[id(step)], "name": step.name, "hit": hit, "reasons": list(reasons)}
                return {"explanations": [told]}
            case Finished(vertex, at, _, cached):
                return {"vertexes": [self._vertex(vertex, completed=moment(at), cached=cached)]}
            case Failed(vertex, at, error):
                return {"vertexes": [self._vertex(vertex, completed=moment(at), error=error)]}
            case Noted(name, status, done, current, total):
                note = {"id": name, "name": status, "done": done, "current": current, "total": total}
                return {"statuses": [note]}
            case _:
                return None

    def _digest(self, vertex: Vertex) -> str:
        if vertex not in self._digests:
            text = f"{len(self._digests)} {vertex.name}"
            self._digests[vertex] = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        return self._digests[vertex]

    def _vertex(self, vertex: Vertex, **more: Any) -> dict[str, Any]:
        digest = self._digest(vertex)
        told = {"digest": digest, "name": vertex.name, "started": self._started.get(digest)}
        return {**told, **{name: value for name, value in more.items() if value}}


def _warning(finding: Finding, name: str, source: str) -> dict[str, Any]:
    place = {"start": {"line": finding.location.first}, "end": {"line": finding.location.last}}
    return {
        "level": 1,
        "short": _base64(finding.line()),
        "detail": [_base64(finding.rule.description)],
        "sourceInfo": {"filename": name, "data": _base64(source), "language": "Dockerfile"},
        "range": [place],
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
