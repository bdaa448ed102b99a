"""The keys that may sign a release, as files that gpgv reads."""

import base64
import binascii
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from cove.errors import InvalidArgument, NotFound
from cove.images.bootstrap.machine import Machine

_ARMOR = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\s*?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
_BEGIN = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_FINGERPRINT = re.compile(r"^[0-9A-Fa-f]{40}!?$")


class Keyring(NamedTuple):
    """``files``: binary keyrings. ``fingerprints``: if not empty, only these keys (upper case, "!" means no subkey)."""

    files: list[Path]
    fingerprints: frozenset[str]


def keyring_for(signed_by: str, machine: Machine, work: Path) -> Keyring:
    """The keyring that a source's ``Signed-By`` names: files, fingerprints, or a key block in place.

    "" and fingerprints alone mean the keys that apt trusts for every source. Armored keys are written to ``work``.
    Raises InvalidArgument for a value that is none of these, NotFound when there are no keys.
    """
    if "-----BEGIN" in signed_by:
        return Keyring([_write_binary(signed_by.encode(), work, "Signed-By")], frozenset())
    words = [signed_by] if Path(signed_by).is_file() else signed_by.replace(",", " ").split()
    paths = [Path(word) for word in words if word.startswith("/")]
    fingerprints = [word for word in words if not word.startswith("/")]
    for word in fingerprints:
        if not _FINGERPRINT.match(word):
            raise InvalidArgument(f"Signed-By {word!r} is neither a path nor a key's fingerprint")
    files = [_binary(path, work) for path in paths or _trusted(machine)]
    if not files:
        raise NotFound("apt trusts no key on this machine: pass --keyring")
    return Keyring(files, frozenset(word.upper() for word in fingerprints))


def _trusted(machine: Machine) -> list[Path]:
    apt = machine.etc / "apt"
    parts = apt / "trusted.gpg.d"
    found = [path for path in [apt / "trusted.gpg"] if path.is_file() and path.stat().st_size]
    if parts.is_dir():
        found += sorted(path for path in parts.iterdir() if path.suffix in (".gpg", ".asc") and path.is_file())
    return found


def _binary(path: Path, work: Path) -> Path:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotFound(f"cannot read the keyring {path}: {error.strerror}") from error
    return _write_binary(content, work, str(path)) if _BEGIN in content else path


def _write_binary(armored: bytes, work: Path, origin: str) -> Path:
    target = work / f"keyring-{hashlib.sha256(armored).hexdigest()}.gpg"
    target.write_bytes(dearmor(armored, origin))
    return target


def dearmor(armored: bytes, origin: str) -> bytes:
    """The binary form of every key block in a text (RFC 9580, 6.2). Raises InvalidArgument naming ``origin``."""
    lines = b"\n".join(line.strip().removeprefix(b".") for line in armored.splitlines())
    blocks = _ARMOR.findall(lines + b"\n")
    try:
        keys = b"".join(_decode(block) for block in blocks)
    except binascii.Error as error:
        raise InvalidArgument(f"{origin}: the key block is damaged: {error}") from error
    if not keys:
        raise InvalidArgument(f"{origin}: there is no complete key block")
    return keys


def _decode(block: bytes) -> bytes:
    """Armor headers end at an empty line; the checksum line begins with "="."""
    headers, empty, body = block.partition(b"\n\n") if not block.startswith(b"\n") else (b"", b"\n", block)
    if not empty:
        body = headers
    return base64.b64decode(b"".join(line for line in body.split() if not line.startswith(b"=")), validate=True)
