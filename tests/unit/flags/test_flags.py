"""The grammar of options, which is Docker's (that of Go's pflag)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.flags import BOOL, FILTER, INT, LIST, MAP, STRING, STRINGS, UINT16, Flag, FlagError, Parser

FLAGS = (
    Flag("all", BOOL, "", "a"),
    Flag("trust", BOOL, "", default=True),
    Flag("interactive", BOOL, "", "i"),
    Flag("name", STRING, "", "n"),
    Flag("env", LIST, "", "e"),
    Flag("old-env", LIST, "", into="env"),
    Flag("count", INT, "", "c", -1),
    Flag("weight", UINT16, ""),
    Flag("csv", STRINGS, ""),
    Flag("opt", MAP, "", "o"),
    Flag("filter", FILTER, "", "f"),
)


def parse(*words: str, interspersed: bool = True) -> tuple[dict[str, object], list[str]]:
    values, rest = Parser(FLAGS, interspersed).parse(list(words))
    return {name: values[name] for name in values.given if name != "help"}, rest


@pytest.mark.parametrize(
    "words,given_values,rest",
    [
        ((), {}, []),
        (("x", "-a", "y"), {"all": True}, ["x", "y"]),
        (("-ai", "x"), {"all": True, "interactive": True}, ["x"]),
        (("-ain", "v"), {"all": True, "interactive": True, "name": "v"}, []),
        (("-nv",), {"name": "v"}, []),
        (("-n=v",), {"name": "v"}, []),
        (("-n", "-v"), {"name": "-v"}, []),
        (("--name", "--all"), {"name": "--all"}, []),
        (("--name=",), {"name": ""}, []),
        (("--all=false",), {"all": False}, []),
        (("--trust=0",), {"trust": False}, []),
        (("-a=false",), {"all": False}, []),
        (("-e", "A=1", "-eB", "--env=C=2", "--old-env", "D"), {"env": ["A=1", "B", "C=2", "D"]}, []),
        (("-c", "-5"), {"count": -5}, []),
        (("--count", "0x10"), {"count": 16}, []),
        (("--csv", "a,b", "--csv", '"c,d",e'), {"csv": ["a", "b", "c,d", "e"]}, []),
        (("-o", "k=v=w", "-o", "k"), {"opt": [("k", "v=w"), ("k", "")]}, []),
        (("-f", "Name = x ", "-f", "a=b"), {"filter": [("name", "x"), ("a", "b")]}, []),
        (("--", "-a", "x"), {}, ["-a", "x"]),
        (("-", "x"), {}, ["-", "x"]),
    ],
)
def test_parses(words: tuple[str, ...], given_values: dict[str, object], rest: list[str]) -> None:
    assert parse(*words) == (given_values, rest)


def test_a_command_line_inside_ends_the_options() -> None:
    assert parse("-a", "image", "-n", "x", interspersed=False) == ({"all": True}, ["image", "-n", "x"])


@pytest.mark.parametrize(
    "words,message",
    [
        (("--nope",), "unknown flag: --nope"),
        (("--nope=1",), "unknown flag: --nope"),
        (("-x",), "unknown shorthand flag: 'x' in -x"),
        (("-ax",), "unknown shorthand flag: 'x' in -ax"),
        (("--name",), "flag needs an argument: --name"),
        (("-n",), "flag needs an argument: 'n' in -n"),
        (("---x",), "bad flag syntax: ---x"),
        (("--=x",), "bad flag syntax: --=x"),
        (
            ("--all=maybe",),
            'invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (("-c", "x"), 'invalid argument "x" for "-c, --count" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (
            ("--weight", "70000"),
            'invalid argument "70000" for "--weight" flag: strconv.ParseUint: parsing "70000": value out of range',
        ),
        (("-f", "x"), 'invalid argument "x" for "-f, --filter" flag: bad format of filter (expected name=value)'),
    ],
)
def test_refuses(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(*words)
    assert caught.value.message == message


def test_defaults_are_not_shared() -> None:
    first, _ = Parser(FLAGS).parse(["-e", "A"])
    second, _ = Parser(FLAGS).parse([])
    assert (first.many("env"), second.many("env"), second.number("count"), second.on("trust")) == (["A"], [], -1, True)


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("x", "--help")])
def test_help_is_always_there(words: tuple[str, ...]) -> None:
    values, _ = Parser(FLAGS).parse(list(words))
    assert "help" in values.given


@given(st.lists(st.text(max_size=8), max_size=8))
def test_any_words_parse_or_are_refused(words: list[str]) -> None:
    try:
        parse(*words)
    except FlagError as failure:
        assert failure.message
