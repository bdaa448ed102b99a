"""Content digests: ``sha256:<hex>``, as the OCI image specification defines them."""

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from cove.errors import InvalidArgument

LENGTHS = {"sha256": 64, "sha512": 128}
_FORM = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")


class Hash(Protocol):
    """What this package needs of a hashlib object."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest of one of the registered algorithms; ``hex`` is lower case and has the algorithm's length."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Read ``algorithm:hex``. Raises InvalidArgument with the words of Docker's digest parser."""
        if not _FORM.fullmatch(text):
            raise InvalidArgument(f"invalid checksum digest format: {text!r}")
        algorithm, _, digits = text.partition(":")
        if algorithm not in LENGTHS:
            raise InvalidArgument(f"unsupported digest algorithm: {text!r}")
        if len(digits) != LENGTHS[algorithm]:
            raise InvalidArgument(f"invalid checksum digest length: {text!r}")
        if not re.fullmatch("[0-9a-f]+", digits):
            raise InvalidArgument(f"invalid checksum digest format: {text!r}")
        return cls(algorithm, digits)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> "Digest":
        """The digest of these bytes."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def hash(self) -> Hash:
        """A fresh hash of this digest's algorithm, to verify a stream with."""
        return hashlib.new(self.algorithm)

    def verify(self, data: bytes, what: str) -> None:
        """Raises InvalidArgument when ``data`` is not what this names; ``what`` says in the message what it is."""
        found = Digest.of(data, self.algorithm)
        if found != self:
            raise InvalidArgument(f"{what}: digest is {found}, expected {self}")

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def chain_ids(diff_ids: list[str]) -> list[str]:
    """The chain id of each layer, lowest first (image-spec, "Layer ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(str(Digest.of(f"{chain[-1]} {diff_id}".encode())) if chain else diff_id)
    return chain
