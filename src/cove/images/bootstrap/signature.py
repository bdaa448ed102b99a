"""Signatures of releases, checked by gpgv."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cove.errors import Unavailable
from cove.images.bootstrap.keyring import Keyring

_BEGIN_MESSAGE = b"-----BEGIN PGP SIGNED MESSAGE-----"
_BEGIN_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END_SIGNATURE = b"-----END PGP SIGNATURE-----"
_STRONG_HASHES = frozenset({"8", "9", "10"})
"""SHA-256, 384 and 512 in OpenPGP's numbers (RFC 9580, 9.5): apt trusts no older one either."""


def signed_text(message: bytes, keyring: Keyring, name: str) -> bytes:
    """What an inline-signed message says, as gpgv read it. ``name`` is for the errors: Unavailable if not valid."""
    if not _is_one_message(message):
        raise Unavailable(f"signature of {name} is not valid: it is not one signed message")
    with tempfile.TemporaryDirectory(prefix="gpgv-") as directory:
        source, text = Path(directory, "InRelease"), Path(directory, "text")
        source.write_bytes(message)
        _verify(["--output", str(text), str(source)], keyring, name)
        return text.read_bytes()


def check_detached(text: bytes, signature: bytes, keyring: Keyring, name: str) -> None:
    """Raise Unavailable unless ``signature`` is a valid one of ``text``."""
    with tempfile.TemporaryDirectory(prefix="gpgv-") as directory:
        signed, beside = Path(directory, "Release"), Path(directory, "Release.gpg")
        signed.write_bytes(text)
        beside.write_bytes(signature)
        _verify([str(beside), str(signed)], keyring, name)


def _is_one_message(message: bytes) -> bool:
    """Nothing before, between or after, so that nothing unsigned can be taken for signed."""
    lines = message.split(b"\n")
    marks = [line.rstrip() for line in lines if line.startswith(b"-----")]
    return (
        marks == [_BEGIN_MESSAGE, _BEGIN_SIGNATURE, _END_SIGNATURE]
        and message.startswith(_BEGIN_MESSAGE)
        and message.rstrip().endswith(_END_SIGNATURE)
    )


def _verify(arguments: Sequence[str], keyring: Keyring, name: str) -> None:
    keyrings = [word for file in keyring.files for word in ("--keyring", str(file.absolute()))]
    with tempfile.TemporaryDirectory(prefix="gpgv-home-") as home:
        command = ["gpgv", "--homedir", home, "--status-fd", "1", *keyrings, *arguments]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        except FileNotFoundError as error:
            message = "gpgv is needed to verify the signature of a mirror: apt-get install gpgv"
            raise Unavailable(message) from error
    status = [line.split()[1:] for line in done.stdout.decode(errors="replace").splitlines() if line[:8] == "[GNUPG:]"]
    if (refusal := _refusal([words for words in status if words], keyring)) is not None:
        raise Unavailable(f"signature of {name} is not valid: {refusal or _complaint(done.stderr)}")


def _refusal(status: Sequence[Sequence[str]], keyring: Keyring) -> str | None:
    """Why the signatures do not count; "" when gpgv says so itself, None when one counts and none is bad.

    gpgv says GOODSIG and then VALIDSIG (GnuPG's doc/DETAILS); a key that is expired or revoked gives EXPKEYSIG or
    REVKEYSIG before VALIDSIG. Keys that are not in the keyring do no harm: archives sign with the next release's too.
    """
    if any(words[0] == "BADSIG" for words in status):
        return ""
    good, refusal = False, ""
    for keyword, *values in status:
        if keyword in ("NEWSIG", "EXPKEYSIG", "REVKEYSIG", "EXPSIG", "ERRSIG"):
            good = False
        elif keyword == "GOODSIG":
            good = True
        elif keyword == "VALIDSIG" and good and len(values) >= 10:
            if values[7] not in _STRONG_HASHES:
                refusal = f"key {values[0]} signed it with a hash that is too weak"
            elif not _may_sign(values[0], values[9], keyring.fingerprints):
                refusal = f"key {values[0]} is not one of those that Signed-By names"
            else:
                return None
    return refusal


def _may_sign(key: str, primary: str, allowed: frozenset[str]) -> bool:
    return not allowed or primary in allowed or key in allowed or f"{key}!" in allowed


def _complaint(output: bytes) -> str:
    """The last line in which gpgv says more than what it looked at."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if not re.match(r"gpgv: +(Signature made|using|Good signature)", line)]
    return (said or ["gpgv: no signature found"])[-1]
