"""Arrays that are read while they come."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.client.arrays import array_items
from cove.client.http import BrokenAnswer

OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.none(), max_size=3), max_size=9)


@given(OBJECTS, st.integers(1, 40), st.booleans())
def test_in_pieces_of_any_size(objects: list[object], size: int, spaced: bool) -> None:
    whole = (
        json.dumps(objects, ensure_ascii=False, indent=1 if spaced else None).encode("utf-8", "surrogatepass") + b"\n"
    )
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert list(array_items(pieces)) == json.loads(whole)


def test_items_are_there_before_the_end_is() -> None:
    def pieces() -> object:
        yield b'[{"a":1},{"a"'
        raise AssertionError("asked for more than was needed")

    assert next(array_items(pieces())) == {"a": 1}  # type: ignore[arg-type]


def test_null_has_no_items() -> None:
    assert list(array_items([b"null\n"])) == []


@pytest.mark.parametrize("cut", [b"", b"[", b'[{"a":1},', b'[{"a":1},{"b', b'[{"a":1}'])
def test_without_its_end(cut: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        list(array_items([cut]))
