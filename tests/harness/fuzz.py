"""Requests made of the Engine API's schema, aimed at what is there, and what an engine must not answer to them.

``Fuzzer`` is given an engine with the image ``fuzzed`` and the objects that ``TARGETS`` names. The same seed makes the
same requests. Everything that a body asks of the host's file system is moved below the engine's own directory.
"""

import contextlib
import json
import random
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from harness.engine import Engine

SCHEMA = Path(__file__).parents[1] / "data" / "engine-api" / "v1.56.json"

TARGETS = {
    "containers": ("runs", "stopped", "pausing"),
    "images": ("fuzzed",),
    "volumes": ("kept",),
    "networks": ("net",),
}
"""What a path's variable is set to most of the time, by the path's first part."""

WITH_EXECS = "busy"
"""The container of the execs that requests about one are aimed at."""

ENDLESS = ("/attach", "/logs", "/stats", "/events", "/wait", "/session", "/exec/", "/export")
"""Of these paths only the head of the answer is waited for: the body may end with the container, or never."""

TAR, BYTES = "application/x-tar", "application/octet-stream"
"""A media type that no generator knows, and one for any bytes."""

HONEST = (501, 503)
"""Not a failure: what is not served yet, and Swarm."""

OUTSIDE = b'{"message":"Get \\"https://'
"""What begins an answer that tells of a registry which cannot be reached, as none can be where the tests run."""

SECONDS = 20.0
"""In which an answer, or its head, has to come."""

MAX_ANSWER = 1 << 20


class Request(NamedTuple):
    method: str
    target: str
    body: bytes | None
    media_type: str

    def __str__(self) -> str:
        return f"{self.method} {self.target} {self.media_type} {(self.body or b'')[:600]!r}"


class Fuzzer:
    """``examples``: requests of each operation and mode (valid by the schema, and not)."""

    def __init__(self, engine: Engine, number: int, examples: int) -> None:
        self._engine = engine
        self._seed = number
        self._examples = examples
        self._random = random.Random(number)
        self.asked = 0
        self.met: set[str] = set()
        """What was asked of an exec that there was: the last part of the path."""

    def run(self) -> list[str]:
        """Ask everything; what went wrong."""
        schema: Any = schemathesis.openapi.from_dict(json.loads(SCHEMA.read_text().replace(TAR, BYTES)))
        wrong: list[str] = []
        for result in schema.get_all_operations():
            operation = result.ok()
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                for request in self._requests(operation, mode):
                    self.asked += 1
                    problem = self._problem(request)
                    if problem:
                        wrong.append(f"{request}\n    {problem}")
        return wrong

    def _requests(self, operation: Any, mode: GenerationMode) -> Iterator[Request]:
        made: list[Request] = []

        @seed(self._seed)
        @settings(
            max_examples=self._examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def collect(case: Any) -> None:
            made.append(self._aimed(case))

        with contextlib.suppress(Unsatisfiable):  # nothing can be wrong about an operation without parameters
            collect()
        yield from made

    def _aimed(self, case: Any) -> Request:
        """The request of a case, most of the time at things that exist."""
        variables = {name: self._name(case.path, value) for name, value in (case.path_parameters or {}).items()}
        path = case.path
        for name, value in variables.items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe="") or "-")
        asked = {name: _text(value) for name, value in (case.query or {}).items()}
        if asked.get("t", "").lstrip("-").isdigit():  # to wait that long is right, and takes too long
            asked["t"] = "0"
        query = urlencode(asked, errors="replace")
        body, media_type = self._body(case)
        return Request(case.method.upper(), f"{path}?{query}" if query else path, body, media_type)

    def _name(self, path: str, generated: Any) -> Any:
        kind = path.split("/")[1]
        if kind == "exec" and self._random.random() < 0.8:
            return self._exec() or generated
        targets = TARGETS.get(kind, ())
        return self._random.choice(targets) if targets and self._random.random() < 0.8 else generated

    def _exec(self) -> str:
        """A new exec, running or not, in a container that is made and started where it is not there any more."""
        sleeps = {"Image": "busybox", "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "none"}}
        self._engine.http("POST", f"/containers/create?name={WITH_EXECS}", sleeps)
        self._engine.http("POST", f"/containers/{WITH_EXECS}/start")
        wish = {"Cmd": ["sleep", "600"], "Tty": self._random.random() < 0.5, "AttachStdout": True}
        made = self._engine.http("POST", f"/containers/{WITH_EXECS}/exec", wish)
        reference = str(made.json().get("Id", ""))
        if reference and self._random.random() < 0.5:
            self._engine.http("POST", f"/exec/{reference}/start", {"Detach": True})
        return reference

    def _body(self, case: Any) -> tuple[bytes | None, str]:
        given = case.body
        if type(given).__name__ == "NotSet":
            return None, ""
        if isinstance(given, bytes):
            return given, case.media_type or ""
        if case.path == "/containers/create" and isinstance(given, dict) and self._random.random() < 0.9:
            given = {**given, "Image": "fuzzed"}
        return json.dumps(self._contained(given)).encode(errors="replace"), "application/json"

    def _contained(self, value: Any) -> Any:
        """The body, with what names a place of the host moved below the engine's directory."""
        if isinstance(value, list):
            return [self._contained(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        return {key: self._moved(key, item) for key, item in value.items()}

    def _moved(self, key: str, value: Any) -> Any:
        if key in ("Source", "PathOnHost") and isinstance(value, str):
            return f"{self._engine.base}/fuzz/{quote(value, safe='')[:100]}"
        if key == "Binds" and isinstance(value, list):
            return [f"{self._engine.base}/fuzz{bind}" if isinstance(bind, str) else bind for bind in value]
        if key in ("CgroupParent", "DriverOpts", "Options", "Devices", "Privileged"):
            return None
        return self._contained(value)

    def _problem(self, request: Request) -> str:
        try:
            status, body = self._ask(request)
        except TimeoutError:
            return f"no answer in {SECONDS:.0f} seconds"
        except (ConnectionError, ValueError) as error:
            return f"no answer: {error!r}"
        path = request.target.partition("?")[0]
        if path.startswith("/exec/") and status != 404:
            self.met.add(path.rpartition("/")[2])
        if status >= 500 and status not in HONEST and not body.startswith(OUTSIDE):
            return f"{status} {body[:600]!r}"
        return (
            ""
            if status < 400 or request.method == "HEAD" or _is_error(body)
            else f"{status} without a message: {body[:200]!r}"
        )

    def _ask(self, request: Request) -> tuple[int, bytes]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(self._engine.socket))
            length = f"Content-Length: {len(request.body)}\r\n" if request.body is not None else ""
            kind = f"Content-Type: {request.media_type}\r\n" if request.media_type else ""
            head = f"{request.method} {request.target} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n{kind}{length}\r\n"
            connection.sendall(head.encode() + (request.body or b""))
            return _answer(connection, whole=not any(part in request.target for part in ENDLESS))


def _answer(connection: socket.socket, *, whole: bool) -> tuple[int, bytes]:
    """The status, and what follows the head: all of it, or what came along with it when it is no error."""
    data = b""
    while b"\r\n\r\n" not in data or whole or int(data[9:12]) >= 400:
        more = connection.recv(1 << 16)
        if not more:
            break
        data += more
        if len(data) > MAX_ANSWER:
            break
    head, _, body = data.partition(b"\r\n\r\n")
    if not head:
        raise ConnectionError("the connection was closed without an answer")
    return int(head[9:12]), body


def _is_error(body: bytes) -> bool:
    try:
        return bool(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return False


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
