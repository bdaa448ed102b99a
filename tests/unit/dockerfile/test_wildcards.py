"""Patterns of COPY: Go's filepath.Match, and ``**``."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.dockerfile.wildcards import expression, has_wildcards
from cove.errors import InvalidArgument


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.py", ("a.py", ".py"), ("a/b.py", "a.pyc")),
        ("a?c", ("abc", "a.c"), ("a/c", "ac")),
        ("[a-c]x", ("ax", "cx"), ("dx", "x")),
        ("[^a]x", ("bx", "/x"), ("ax",)),
        ("[^^-b]", ("c",), ("^", "_", "a")),
        ("[z-a]", (), ("a", "m", "z")),
        ("[^z-a]", ("a", "/"), ("",)),
        (r"[\]\-a]", ("]", "-", "a"), ("\\", "b")),
        (r"[\[-\]]", ("[", "\\", "]"), ("a",)),
        ("?", ("a", "☺", "\udcff"), ("", "/", "ab")),
        ("a*/b", ("a/b", "abc/b"), ("a/c/b",)),
        ("a*b?c*x", ("abxbbxdbxebxczzx", "abxbbxdbxebxczzx"), ("abxbbxdbxebxczzy",)),
        ("a*b*c*d*e*/f", ("aBbCcDdEe/f", "axbxcxdxexxx/f"), ("axbxcxdxexxx/fff", "axbxcxdxe/xxx/f")),
        ("**/a*b", ("ab", "aX/ab", "x/y/aXb"), ("ab/x", "aX/bb")),
        ("x/**/a*/b/**/c*d", ("x/ay/b/cd", "x/1/a/q/a/b/2/3/cZd"), ("x/a/b/c", "x/a/q/b/cd")),
        ("a**b*c", ("abc", "a/x/b/bc", "ab/bc"), ("ab/c",)),
        ("[&~|]", ("&", "~", "|"), ("a",)),
        ("src/**/x", ("src/x", "src/a/x", "src/a/b/x"), ("src/ax", "x")),
        ("src/**", ("src/a", "src/a/b"), ("a/src/b",)),
        (r"a\*", ("a*",), ("ab",)),
        ("a.b+c", ("a.b+c",), ("axb+c", "a.bbc")),
        ("/lead/", ("lead",), ("/lead/",)),
        ("new\nline*", ("new\nlines",), ("new line",)),
    ],
)
def test_what_matches(pattern: str, matching: tuple[str, ...], others: tuple[str, ...]) -> None:
    compiled = re.compile(expression(pattern))
    assert [path for path in matching if not compiled.fullmatch(path)] == []
    assert [path for path in others if compiled.fullmatch(path)] == []


@pytest.mark.parametrize(
    "pattern", ["[", "[a", "x[", "[]a]", "[-]", "[-x]", "[x-]", "[a-b-c]", "[^]", "a\\", "[\\", "[a-"]
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(f"syntax error in pattern: {pattern}")):
        expression(pattern)


@pytest.mark.parametrize(
    "pattern", ["*a" * 50 + "b", "**/" * 50 + "b", "**/*a" * 30 + "/b", "?*" * 50 + "b", "**a" * 50 + "b"]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    """Those that try everything would take longer than there is time."""
    compiled, began = re.compile(expression(pattern)), time.process_time()
    for path in ("a" * 4000, "a/" * 2000 + "c"):
        compiled.fullmatch(path)
    assert time.process_time() - began < 20


def test_whether_there_is_something_special() -> None:
    assert has_wildcards("a*") and has_wildcards("a?") and has_wildcards("[a]")
    assert not has_wildcards("a/b.c")


@given(st.text(max_size=30))
def test_any_text_is_a_pattern_or_is_refused(text: str) -> None:
    try:
        made = expression(text)
    except InvalidArgument:
        return
    re.compile(made)


@given(st.text("abc./+(){}^$|-", max_size=30))
def test_a_path_without_wildcards_matches_itself_alone(path: str) -> None:
    compiled = re.compile(expression(path))
    assert compiled.fullmatch(path.strip("/"))
    assert not compiled.fullmatch(path.strip("/") + "x")
