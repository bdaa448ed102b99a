"""What a client lends to its build: secrets, further contexts, and connections to its ssh agents."""

from __future__ import annotations

import os
import secrets
import socket
import stat
import threading
from contextlib import ExitStack, closing, contextmanager

from cove.cli.build_contexts.layouts import Layout
from cove.cli.build_contexts.preparing import files_alone
from cove.cli.building.loading import load, unload
from cove.cli.building.options import fields
from cove.cli.failure import Failure
from cove.dockerfile.git import is_git
from cove.errors import CoveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cove.cli.session import Session
    from cove.flags import Values

PIECE = 64 << 10
LAYOUT = "oci-layout://"
REPOSITORY = "cove-build-context"
MOST_SECRET = 500 << 10
"""Bytes."""


@contextmanager
def lent(session: Session, values: Values, build: str) -> Iterator[None]:
    """While the build runs. Raises Failure naming the flag, before anything is built."""
    for text in values.many("secret"):
        name, content = _secret(text)
        _send(session, build, "secrets", name, content)
    loaded = [name for text in values.many("build-context") for name in _context(session, build, text)]
    with ExitStack() as stack:
        stack.callback(unload, session, loaded)
        agents = [_agent(text, stack) for text in values.many("ssh")]
        for name, path in agents:
            agent = _Agent(session, build, name, path)
            stack.callback(agent.close)
            agent.start()
        yield


def _send(session: Session, build: str, kind: str, name: str, body: bytes) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    session.client.stream("POST", f"/cove/builds/{build}/{kind}", {"name": name}, body, headers).close()


def _secret(text: str) -> tuple[str, bytes]:
    """``id=name[,src=path|,env=VARIABLE]``."""
    given = fields("secret", text)
    name = given.get("id", "")
    if not name:
        raise Failure(f"invalid value for --secret: {text}: id is missing")
    variable = given.get("env") or (name if given.get("type") == "env" else "")
    path = given.get("src") or given.get("source") or ""
    if not variable and not path and name in os.environ:
        variable = name
    if variable:
        if variable not in os.environ:
            raise Failure(f"invalid value for --secret: {text}: the variable {variable} is not set")
        return name, os.environb[variable.encode()]
    try:
        with open(os.path.expanduser(path or name), "rb") as file:
            content = file.read(MOST_SECRET + 1)
    except OSError as error:
        raise Failure(f"invalid value for --secret: failed to stat {path or name}: {error.strerror}") from error
    if len(content) > MOST_SECRET:
        raise Failure(f"invalid secret {name}: it has more than {MOST_SECRET} bytes")
    return name, content


def _context(session: Session, build: str, text: str) -> list[str]:
    """``name=path``; what is no path is for the daemon. The name of an image that was loaded for it."""
    name, sign, place = text.partition("=")
    if not sign or not name or not place:
        raise Failure(f"invalid value for --build-context: {text}, expected name=path")
    if place.startswith(LAYOUT):
        loaded = [_layout(session, place.removeprefix(LAYOUT), build)]
        place = f"loaded-image://{loaded[0]}"
    else:
        loaded = []
    if loaded or place.startswith(("docker-image://", "http://", "https://")) or is_git(place):
        headers = {"Content-Type": "text/plain"}
        query = {"name": name, "remote": place}
        session.client.stream("POST", f"/cove/builds/{build}/contexts", query, b"", headers).close()
        return loaded
    headers = {"Content-Type": "application/x-tar"}
    pieces = files_alone(place).pieces()
    session.client.stream("POST", f"/cove/builds/{build}/contexts", {"name": name}, pieces, headers).close()
    return []


def _layout(session: Session, place: str, build: str) -> str:
    """Load an image of an OCI layout; a name that only this build has for it."""
    name = f"{REPOSITORY}:{build}-{secrets.token_hex(4)}"
    return load(session, Layout(place).pieces(name), f"--build-context oci-layout://{place}")


def _agent(text: str, stack: ExitStack) -> tuple[str, str]:
    """``default``, ``id=socket`` or ``id=key,…``: the id and the socket."""
    name, sign, path = text.partition("=")
    path = path if sign else os.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        raise Failure(f"invalid empty ssh agent socket: --ssh {text}: SSH_AUTH_SOCK is not set")
    keys = path.split(",")
    if len(keys) == 1 and _is_socket(path):
        return name or "default", path
    from cove.cli.building.keys import KeyAgent

    agent = KeyAgent(keys)
    stack.callback(agent.close)
    return name or "default", agent.path


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError as error:
        raise Failure(f"invalid value for --ssh: {path}: {error.strerror}") from error


class _Agent:
    """Waits for programs of the build that want an agent, one connection to the daemon for each."""

    def __init__(self, session: Session, build: str, name: str, path: str) -> None:
        self._session = session
        self._build = build
        self._name = name
        self._path = path
        self._closed = False
        self._client = session.connect()

    def start(self) -> None:
        """Return when the daemon knows of it."""
        self._client.json("POST", f"/cove/builds/{self._build}/agents", {"name": self._name})
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """The daemon ends what waits, with the build."""
        self._closed = True
        self._client.close()

    def _run(self) -> None:
        while not self._closed:
            try:
                client = self._session.connect()
                program, first = client.hijack(f"/cove/builds/{self._build}/agent", {"name": self._name})
            except (CoveError, OSError):
                return
            threading.Thread(target=_splice, args=(program, first, self._path), daemon=True).start()


def _splice(program: socket.socket, first: bytes, path: str) -> None:
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with closing(agent), closing(program):
        agent.connect(path)
        agent.sendall(first)
        back = threading.Thread(target=_pump, args=(agent, program), daemon=True)
        back.start()
        _pump(program, agent)
        back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
