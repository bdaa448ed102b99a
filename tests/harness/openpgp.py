"""A small OpenPGP signer, so that tests can sign a package mirror with keys of their own and no gpg.

RSA with SHA-256 and version 4 packets, as RFC 9580 describes them: enough for gpgv to accept what is right and to
refuse what is not. The keys are small and made from a seed: worth nothing outside of a test.
"""

import base64
import hashlib
import random
import struct
from typing import NamedTuple

MADE = 1_600_000_000
"""When keys and signatures were made, in seconds since the epoch."""

SHA1, SHA256 = 2, 8
_HASHES = {
    SHA1: (hashlib.sha1, bytes.fromhex("3021300906052b0e03021a05000414")),
    SHA256: (hashlib.sha256, bytes.fromhex("3031300d060960864801650304020105000420")),
}
_BINARY, _TEXT, _CERTIFICATION = 0x00, 0x01, 0x13
_EXPONENT = 65537


class Key(NamedTuple):
    """An RSA key and who it is for."""

    modulus: int
    private: int
    owner: str

    @property
    def public(self) -> bytes:
        """The body of the public-key packet."""
        return struct.pack(">BIB", 4, MADE, 1) + _integer(self.modulus) + _integer(_EXPONENT)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha1(_hashed_key(self.public)).hexdigest().upper()

    def keyring(self) -> bytes:
        """The binary keyring with this key, its owner and the signature that binds them."""
        bound = _hashed_key(self.public) + b"\xb4" + struct.pack(">I", len(self.owner)) + self.owner.encode()
        signature = self._signature(_CERTIFICATION, bound, SHA256)
        return _packet(6, self.public) + _packet(13, self.owner.encode()) + signature

    def armored_keyring(self) -> str:
        return _armor("PUBLIC KEY BLOCK", self.keyring())

    def clearsign(self, text: str, digest: int = SHA256) -> bytes:
        """An inline-signed message, as InRelease is one."""
        lines = [line.rstrip(" \t") for line in text.rstrip("\n").split("\n")]
        signature = self._signature(_TEXT, "\r\n".join(lines).encode(), digest)
        body = "\n".join(f"- {line}" if line.startswith("-") else line for line in lines)
        name = {SHA1: "SHA1", SHA256: "SHA256"}[digest]
        head = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: {name}\n\n{body}\n"
        return (head + _armor("SIGNATURE", signature)).encode()

    def detached(self, content: bytes) -> bytes:
        """An armored signature of the content, as Release.gpg is one."""
        return _armor("SIGNATURE", self._signature(_BINARY, content, SHA256)).encode()

    def _signature(self, kind: int, content: bytes, digest: int) -> bytes:
        """A signature packet (RFC 9580, 5.2.3 and 5.2.4)."""
        made = _subpacket(2, struct.pack(">I", MADE))
        issuer = _subpacket(33, b"\x04" + bytes.fromhex(self.fingerprint))
        key_id = _subpacket(16, bytes.fromhex(self.fingerprint)[-8:])
        flags = _subpacket(27, b"\x03") if kind == _CERTIFICATION else b""
        hashed = made + issuer + flags
        head = struct.pack(">BBBBH", 4, kind, 1, digest, len(hashed)) + hashed
        make, prefix = _HASHES[digest]
        value = make(content + head + b"\x04\xff" + struct.pack(">I", len(head))).digest()
        length = (self.modulus.bit_length() + 7) // 8
        padded = b"\0\1" + b"\xff" * (length - len(prefix) - len(value) - 3) + b"\0" + prefix + value
        signed = pow(int.from_bytes(padded, "big"), self.private, self.modulus)
        return _packet(2, head + struct.pack(">H", len(key_id)) + key_id + value[:2] + _integer(signed))


def make_key(owner: str, bits: int = 1024) -> Key:
    """The key of an owner: the same each time."""
    source = random.Random(owner)
    first, second = _prime(source, bits // 2), _prime(source, bits // 2)
    return Key(first * second, pow(_EXPONENT, -1, (first - 1) * (second - 1)), owner)


def _prime(source: random.Random, bits: int) -> int:
    while True:
        candidate = source.getrandbits(bits) | (3 << (bits - 2)) | 1
        if candidate % _EXPONENT != 1 and _is_prime(candidate, source):
            return candidate


def _is_prime(number: int, source: random.Random) -> bool:
    """Miller and Rabin's test, after small divisors."""
    if any(number % small == 0 for small in range(3, 2000, 2)):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_witness(pow(source.randrange(2, number - 1), odd, number), twos, number) for _ in range(20))


def _witness(value: int, twos: int, number: int) -> bool:
    if value in (1, number - 1):
        return True
    for _ in range(twos - 1):
        value = value * value % number
        if value == number - 1:
            return True
    return False


def _hashed_key(public: bytes) -> bytes:
    return b"\x99" + struct.pack(">H", len(public)) + public


def _integer(number: int) -> bytes:
    return struct.pack(">H", number.bit_length()) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _packet(kind: int, body: bytes) -> bytes:
    return bytes([0xC0 | kind, 0xFF]) + struct.pack(">I", len(body)) + body


def _subpacket(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


def _armor(kind: str, content: bytes) -> str:
    text = base64.b64encode(content).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    check = base64.b64encode(_crc24(content).to_bytes(3, "big")).decode()
    return f"-----BEGIN PGP {kind}-----\n\n{lines}\n={check}\n-----END PGP {kind}-----\n"


def _crc24(content: bytes) -> int:
    """The checksum of armor (RFC 9580, 6.1)."""
    value = 0xB704CE
    for byte in content:
        value ^= byte << 16
        for _ in range(8):
            value = (value << 1) ^ (0x1864CFB if value & 0x800000 else 0)
    return value & 0xFFFFFF
