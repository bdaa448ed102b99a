"""Credentials of registries, where Docker's configuration keeps them: config.json, or programs that it names.

A program ``docker-credential-NAME`` is asked to ``get``, ``store`` or ``erase`` (docker-credential-helpers).
"""

from __future__ import annotations

import base64
import json
import os

from cove.cli.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session

HUB_KEY = "https://index.docker.io/v1/"
"""What Docker Hub is called in config.json."""

_HUB_NAMES = frozenset(("docker.io", "index.docker.io", "registry-1.docker.io"))
TOKEN_USER = "<token>"
"""The user name by which a program says that its secret is an identity token."""
_NOT_FOUND = "credentials not found"
_SECONDS = 60


def key_of(registry: str) -> str:
    """What a registry is called in config.json; ``registry`` as a user types it, or empty for Docker Hub."""
    name = registry.partition("://")[2] or registry
    host = name.partition("/")[0]
    return HUB_KEY if not host or host in _HUB_NAMES else host


def registry_of(image: str) -> str:
    """The host in an image's name, or empty for Docker Hub."""
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


def header(session: Session, image: str) -> str:
    """What is known for the image's registry, as ``X-Registry-Auth`` wants it; an empty object if nothing is."""
    found = lookup(session, key_of(registry_of(image)))
    return base64.urlsafe_b64encode(json.dumps(found).encode()).decode()


def lookup(session: Session, key: str) -> dict[str, str]:
    """``username``, ``password`` or ``identitytoken``, ``serveraddress`` of a registry; empty when there is nothing.

    Raises Failure when a program that should know fails.
    """
    program = _program(session, key)
    return _from_program(program, key) if program else _from_file(session, key)


def everything(session: Session) -> str:
    """What is known for all registries, as ``X-Registry-Config`` wants it. Raises Failure."""
    config = session.config
    keys = dict.fromkeys([*(config.get("auths") or {}), *(config.get("credHelpers") or {})])
    found = {key: known for key in keys if (known := lookup(session, key_of(key) if key != HUB_KEY else key))}
    return base64.urlsafe_b64encode(json.dumps(found).encode()).decode()


def as_auths(session: Session) -> dict[str, Any]:
    """All of them as ``auths`` of a config.json without programs, by registry. Raises Failure."""
    general = session.config.get("credsStore") or ""
    found: dict[str, Any] = {} if general else dict(session.config.get("auths") or {})
    for key in json.loads((general and _call(general, "list", "")) or "{}"):
        found[key] = _entry(_from_program(general, key))
    for key, program in (session.config.get("credHelpers") or {}).items():
        found[key] = _entry(_from_program(program, key))
    return found


def _entry(known: dict[str, str]) -> dict[str, str]:
    if "identitytoken" in known:
        return {"identitytoken": known["identitytoken"]}
    words = f"{known['username']}:{known['password']}" if known else ""
    return {"auth": base64.b64encode(words.encode()).decode()} if known else {}


def store(session: Session, key: str, username: str, secret: str, identity_token: str) -> str:
    """Keep credentials; the path of the file when they are in it unencrypted, else nothing. Raises Failure."""
    program = _program(session, key)
    if program:
        user, kept = (TOKEN_USER, identity_token) if identity_token else (username, secret)
        _call(program, "store", json.dumps({"ServerURL": key, "Username": user, "Secret": kept}))
        _write(session, lambda config: config.setdefault("auths", {}).__setitem__(key, {}))
        return ""
    entry = {"auth": base64.b64encode(f"{username}:{secret}".encode()).decode()}
    if identity_token:
        entry = {"auth": base64.b64encode(f"{username}:".encode()).decode(), "identitytoken": identity_token}
    _write(session, lambda config: config.setdefault("auths", {}).__setitem__(key, entry))
    return _path(session)


def erase(session: Session, key: str) -> bool:
    """Forget a registry's credentials; whether there were any. Raises Failure."""
    known = bool(lookup(session, key)) or key in (session.config.get("auths") or {})
    program = _program(session, key)
    if program:
        _call(program, "erase", key)
    if known:
        _write(session, lambda config: (config.get("auths") or {}).pop(key, None))
    return known


def _program(session: Session, key: str) -> str:
    """The name of the program that keeps a registry's credentials, or nothing."""
    helpers = session.config.get("credHelpers") or {}
    return str(helpers.get(key) or session.config.get("credsStore") or "")


def _from_file(session: Session, key: str) -> dict[str, str]:
    auths: dict[str, Any] = session.config.get("auths") or {}
    entry = auths.get(key) or next((auths[name] for name in auths if key_of(name) == key), None) or {}
    found: dict[str, str] = {}
    if entry.get("auth"):
        found["username"], found["password"] = _decoded(entry["auth"], key)
    for name in ("username", "password", "identitytoken", "registrytoken"):
        if entry.get(name):
            found[name] = str(entry[name])
    if found.get("identitytoken"):
        found.pop("password", None)
    return {**found, "serveraddress": key} if found else {}


def _decoded(auth: str, key: str) -> tuple[str, str]:
    try:
        user, colon, password = base64.b64decode(auth).decode().partition(":")
    except ValueError:
        colon = ""
    if not colon:
        raise Failure(f"invalid auth configuration file: auths: {key}")
    return user, password.strip("\0")


def _from_program(program: str, key: str) -> dict[str, str]:
    answer = _call(program, "get", key)
    if not answer:
        return {}
    try:
        said = json.loads(answer)
        user, secret = str(said["Username"]), str(said["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"error getting credentials - docker-credential-{program} said what is no answer") from error
    if user == TOKEN_USER:
        return {"identitytoken": secret, "serveraddress": key}
    return {"username": user, "password": secret, "serveraddress": key}


def _call(program: str, action: str, words: str) -> str:
    """What a program answers; nothing when it has no credentials. Raises Failure."""
    import subprocess

    name = f"docker-credential-{program}"
    try:
        done = subprocess.run(
            [name, action], input=words, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise Failure(
            f'error getting credentials - err: exec: "{name}": executable file not found in $PATH, out: ``'
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{name} {action} does not answer") from error
    if done.returncode == 0:
        return done.stdout.strip()
    if _NOT_FOUND in done.stdout or _NOT_FOUND in done.stderr:
        return ""
    said = (done.stdout or done.stderr).strip()
    raise Failure(f"error {_DOING[action]} credentials - err: exit status {done.returncode}, out: `{said}`")


_DOING = {"get": "getting", "list": "getting", "store": "storing", "erase": "erasing"}


def _path(session: Session) -> str:
    return os.path.join(session.config_directory, "config.json")


def _write(session: Session, change: Any) -> None:
    """Change config.json, for its owner alone; it is there whole or as it was."""
    config = session.config
    change(config)
    path = os.path.realpath(_path(session))
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(config, file, indent="\t")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
