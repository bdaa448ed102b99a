"""Filters: both JSON forms, and how values match."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.errors import InvalidArgument
from cove.filters import Filters


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("{}", {}),
        ('{"name":["a","b","a"]}', {"name": ("a", "b")}),
        ('{"name":{"a":true,"b":false}}', {"name": ("a", "b")}),
        ('{"name":[],"label":["x=y"]}', {"name": (), "label": ("x=y",)}),
    ],
)
def test_parse(text: str, values: dict[str, tuple[str, ...]]) -> None:
    assert dict(Filters.parse(text)) == values


@pytest.mark.parametrize("text", ["x", "[]", '"a"', '{"a":1}', '{"a":[1]}', '{"a":{"b":1}}', "{" * 70000, "[" * 60000])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid filter"):
        Filters.parse(text)


def test_a_filter_must_be_known() -> None:
    Filters({"name": ["a"]}).check({"name", "id"})
    with pytest.raises(InvalidArgument, match="invalid filter 'colour'"):
        Filters({"colour": ["a"]}).check({"name", "id"})


def test_exact_part_and_prefix() -> None:
    filters = Filters({"name": ["web", "^db$"], "id": ["abc", "def"], "empty": []})
    assert filters.one_of("name", "web", "other")
    assert not filters.one_of("name", "website")
    assert filters.part_of("name", "website")
    assert filters.part_of("name", "db")
    assert not filters.part_of("name", "mydb")
    assert filters.prefix_of("id", "def0")
    assert not filters.prefix_of("id", "0def")
    for name in ("absent", "empty"):
        assert filters.one_of(name, "x")
        assert filters.part_of(name, "x")
        assert filters.prefix_of(name, "x")


def test_a_bad_pattern_is_plain_text() -> None:
    filters = Filters({"name": ["a["]})
    assert filters.part_of("name", "xa[x")
    assert not filters.part_of("name", "b")


def test_labels_must_all_be_there() -> None:
    labels = {"a": "1", "b": ""}
    assert Filters({"label": ["a", "a=1", "b="]}).labels(labels)
    assert not Filters({"label": ["a", "a=2"]}).labels(labels)
    assert not Filters({"label": ["c"]}).labels(labels)
    assert Filters({}).labels(labels)
    assert Filters({"label!": ["c", "a=2"]}).without_labels(labels)
    assert not Filters({"label!": ["c", "a"]}).without_labels(labels)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("False", False), ("0", False)])
def test_boolean(text: str, value: bool) -> None:
    assert Filters({"dangling": [text]}).boolean("dangling") is value
    assert Filters({}).boolean("dangling") is None


@pytest.mark.parametrize("values", [["maybe"], ["true", "false"], [""]])
def test_boolean_refuses(values: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="dangling"):
        Filters({"dangling": values}).boolean("dangling")


def test_single() -> None:
    assert Filters({"until": ["10m"]}).single("until") == "10m"
    assert Filters({}).single("until") is None
    with pytest.raises(InvalidArgument, match="more than one until"):
        Filters({"until": ["1", "2"]}).single("until")


@given(st.dictionaries(st.text(), st.lists(st.text())))
def test_both_forms_say_the_same(values: dict[str, list[str]]) -> None:
    listed = Filters.parse(json.dumps(values))
    mapped = Filters.parse(json.dumps({name: dict.fromkeys(wanted, True) for name, wanted in values.items()}))
    assert dict(listed) == dict(mapped)


@given(st.text(max_size=60))
def test_parse_only_raises_ours(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        Filters.parse(text)
