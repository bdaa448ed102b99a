import hashlib

import pytest

from cove.digest import Digest, chain_ids
from cove.errors import InvalidArgument


def test_of_and_parse_agree() -> None:
    digest = Digest.of(b"x")
    assert str(digest) == "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert Digest.parse(str(digest)) == digest
    assert Digest.parse("sha512:" + "a" * 128).hash().hexdigest() == hashlib.sha512().hexdigest()


@pytest.mark.parametrize(
    "text",
    ["", "sha256", "sha256:", "sha256:" + "A" * 64, "sha256:" + "0" * 65, "md5:" + "0" * 32, "sha256:../" + "0" * 61],
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Digest.parse(text)


def test_verify_names_what_differs() -> None:
    digest = Digest.of(b"x")
    digest.verify(b"x", "layer")
    with pytest.raises(InvalidArgument, match=r"^layer: digest is sha256:"):
        digest.verify(b"y", "layer")


def test_chain_ids_are_the_specifications() -> None:
    first, second = str(Digest.of(b"1")), str(Digest.of(b"2"))
    assert chain_ids([]) == []
    assert chain_ids([first, second]) == [first, str(Digest.of(f"{first} {second}".encode()))]
