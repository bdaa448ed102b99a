"""Who may ask: the users of an htpasswd file, whose passwords are hashed by bcrypt."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path

import bcrypt

from cove.errors import InvalidArgument
from cove.registry.server.failures import UNAUTHORIZED, RegistryError

CHALLENGE = {"WWW-Authenticate": 'Basic realm="cove registry", charset="UTF-8"'}
BCRYPT = ("$2y$", "$2a$", "$2b$")
SIGNIFICANT = 72
"""Bytes of a password that bcrypt looks at; ``htpasswd`` cuts there too."""

REMEMBERED = 1024
"""Passwords that were right and need not be hashed again: a hash takes some 50 ms, and each request has one."""


class Credentials:
    """The file is read again when it changes; as long as a new one cannot be used, the old one is in force."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidArgument that names the file and the line."""
        self._path = path
        self._seen = self._stamp()
        self._users = read(path)
        self._nobody = bcrypt.hashpw(secrets.token_bytes(16), bcrypt.gensalt(10))
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, str] = {}

    async def admit(self, authorization: str) -> str:
        """The user's name. Raises RegistryError."""
        self._refresh()
        name, password = _basic(authorization)
        known = hmac.digest(self._key, f"{name}\0{password}".encode(), hashlib.sha256)
        if self._right.get(known) == name:
            return name
        hashed = self._users.get(name)
        right = await asyncio.to_thread(_matches, password, hashed or self._nobody)
        if not right or hashed is None:
            raise RegistryError(UNAUTHORIZED, headers=CHALLENGE)
        if len(self._right) >= REMEMBERED:
            self._right.clear()
        self._right[known] = name
        return name

    def _refresh(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._users = read(self._path)
        except InvalidArgument:
            return
        self._right.clear()

    def _stamp(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self._path)
        except OSError:
            return 0, 0, 0
        return found.st_ino, found.st_mtime_ns, found.st_size


def read(path: Path) -> dict[str, bytes]:
    """Users and the bcrypt hashes of their passwords. Raises InvalidArgument that names the file and the line."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"--htpasswd {path}: {getattr(error, 'strerror', None) or error}") from None
    users: dict[str, bytes] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, hashed = line.strip().partition(":")
        if not colon or not name:
            raise InvalidArgument(f"--htpasswd {path}: line {number} is not NAME:HASH")
        if not hashed.startswith(BCRYPT):
            raise InvalidArgument(f"--htpasswd {path}: line {number} is not hashed by bcrypt (htpasswd -B)")
        users[name] = hashed.encode()
    return users


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise RegistryError(UNAUTHORIZED, headers=CHALLENGE)
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise RegistryError(UNAUTHORIZED, headers=CHALLENGE) from None
    name, _, password = text.partition(":")
    return name, password


def _matches(password: str, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:SIGNIFICANT], hashed)
    except ValueError:  # a hash that is none, or a password with a NUL
        return False
