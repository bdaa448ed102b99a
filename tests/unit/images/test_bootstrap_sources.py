"""apt's configuration: both formats of sources, apt.conf, which source is taken, which proxy."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.errors import CoveError, InvalidArgument, NotFound
from cove.images.bootstrap import deb822
from cove.images.bootstrap.apt_sources import Source, parse_list, parse_sources, read_sources
from cove.images.bootstrap.archive import choose_sources
from cove.images.bootstrap.download import proxy_for
from cove.images.bootstrap.machine import Machine, boolean, parse_settings
from cove.urls import without_user

MACHINE = Machine(Path("/nowhere"), "gadget", "amd64")
MAIN = Source("http://mirror.test/debian", "gadget", ("main", "contrib"), signed_by="/keys.gpg")


def test_deb822_paragraphs() -> None:
    text = "# a comment\nTypes: deb\nSigned-By:\n -----BEGIN\n .\n# between\n abc\n\n\nEmpty:\nB: c: d\n"
    assert deb822.parse(text, "x") == [
        {"types": "deb", "signed-by": "\n-----BEGIN\n.\nabc"},
        {"empty": "", "b": "c: d"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A: b\nno field\n", "x:2: not a field: 'no field'"),
        (" indented\n", "x:1: a continuation line without a field above it"),
        ("A: b\na: c\n", "x:2: field a is given twice"),
        (": b\n", "x:1: not a field"),
    ],
)
def test_deb822_says_where_it_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        deb822.parse(text, "x")


@given(st.text())
def test_parsers_of_text_raise_only_our_errors(text: str) -> None:
    for parser in (parse_sources, parse_list):
        with contextlib.suppress(CoveError):
            list(parser(text, "x", "amd64"))


def test_sources_file() -> None:
    text = """
Types: deb deb-src
URIs: http://a.test/debian/ http://b.test/$(ARCH)
Suites: gadget gadget-updates
Components: main contrib
Architectures: amd64 arm64
Signed-By: /usr/share/keyrings/a.gpg
Check-Valid-Until: no

Types: deb-src
URIs: http://source.test
Suites: gadget

Enabled: no
Types: deb
URIs: http://off.test
Suites: gadget
"""
    found = list(parse_sources(text, "x", "amd64"))
    assert [(source.uri, source.suite) for source in found] == [
        ("http://a.test/debian", "gadget"),
        ("http://a.test/debian", "gadget-updates"),
        ("http://b.test/amd64", "gadget"),
        ("http://b.test/amd64", "gadget-updates"),
    ]
    assert found[0] == Source(
        "http://a.test/debian",
        "gadget",
        ("main", "contrib"),
        ("amd64", "arm64"),
        "/usr/share/keyrings/a.gpg",
        False,
        "x",
    )


def test_list_file() -> None:
    text = """
# deb http://comment.test gadget main
deb http://a.test/debian/ gadget main contrib # the end
deb-src http://a.test/debian gadget main
deb [ arch=amd64,arm64 signed-by=/k.gpg,/l.gpg check-valid-until=no ] http://b.test gadget main
deb [trusted=yes] cdrom:[A disc]/ gadget main
deb\thttp://flat.test ./
"""
    assert list(parse_list(text, "x", "amd64")) == [
        Source("http://a.test/debian", "gadget", ("main", "contrib"), origin="x:3"),
        Source("http://b.test", "gadget", ("main",), ("amd64", "arm64"), "/k.gpg,/l.gpg", False, "x:5"),
        Source("http://flat.test", "./", (), origin="x:7"),
    ]


@pytest.mark.parametrize(
    "line", ["deb http://a.test", "dep http://a.test gadget main", "deb [arch] http://a.test g main"]
)
def test_list_file_says_where_it_is_wrong(line: str) -> None:
    with pytest.raises(InvalidArgument, match="x:1: "):
        list(parse_list(line, "x", "amd64"))


def test_entry_without_suites() -> None:
    with pytest.raises(InvalidArgument, match="x: an entry has no Suites"):
        list(parse_sources("Types: deb\nURIs: http://a.test\n", "x", "amd64"))


def test_files_in_apts_order_and_only_apts_names(tmp_path: Path) -> None:
    apt = tmp_path / "apt"
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "sources.list").write_text("deb http://one.test gadget main\n")
    (apt / "sources.list.d" / "b.list").write_text("deb http://three.test gadget main\n")
    (apt / "sources.list.d" / "a.sources").write_text("Types: deb\nURIs: http://two.test\nSuites: gadget\n")
    (apt / "sources.list.d" / "c.list.save").write_text("nonsense\n")
    (apt / "sources.list.d" / "c d.list").write_text("nonsense\n")
    found = read_sources(replace(MACHINE, etc=tmp_path))
    assert [source.uri for source in found] == ["http://one.test", "http://two.test", "http://three.test"]
    assert read_sources(replace(MACHINE, etc=tmp_path / "none")) == []


def test_release_with_its_updates_and_security_fixes_is_taken() -> None:
    suites = ["other", "gadget-security", "gadget", "gadget-backports", "gadget-updates", "gadget"]
    chosen = choose_sources([replace(MAIN, suite=suite) for suite in suites], MACHINE)
    assert [source.suite for source in chosen] == ["gadget-security", "gadget", "gadget-updates"]


def test_any_source_with_main_when_none_is_for_the_release() -> None:
    assert choose_sources([replace(MAIN, suite="stable")], MACHINE) == [replace(MAIN, suite="stable")]
    assert choose_sources([MAIN], replace(MACHINE, codename="")) == [MAIN]


@pytest.mark.parametrize(
    "source",
    [
        replace(MAIN, components=("contrib",)),
        replace(MAIN, architectures=("arm64",)),
        replace(MAIN, uri="ftp://mirror.test"),
    ],
)
def test_sources_that_cannot_be_used(source: Source) -> None:
    with pytest.raises(NotFound, match='no apt source on this machine has a component "main": pass --mirror'):
        choose_sources([source], MACHINE)


def test_suite_option() -> None:
    updates = replace(MAIN, suite="gadget-updates")
    assert choose_sources([MAIN, updates], MACHINE, suite="gadget-updates") == [updates]
    with pytest.raises(NotFound, match=r'for suite "none" \(there is: gadget, gadget-updates\)'):
        choose_sources([MAIN, updates], MACHINE, suite="none")


def test_mirror_option_keeps_the_keys_of_the_suite() -> None:
    (chosen,) = choose_sources([MAIN], MACHINE, mirror="http://near.test/debian/")
    assert (chosen.uri, chosen.suite, chosen.signed_by) == ("http://near.test/debian", "gadget", "/keys.gpg")
    (chosen,) = choose_sources([], MACHINE, mirror="http://near.test", suite="next")
    assert (chosen.suite, chosen.signed_by, chosen.components) == ("next", "", ("main",))


def test_bad_options() -> None:
    with pytest.raises(InvalidArgument, match=r'invalid mirror "near\.test"'):
        choose_sources([MAIN], MACHINE, mirror="near.test")
    with pytest.raises(InvalidArgument, match="suite is required with mirror"):
        choose_sources([], replace(MACHINE, codename=""), mirror="http://near.test")
    with pytest.raises(InvalidArgument, match=r'invalid keyring "/none\.gpg": no such file'):
        choose_sources([MAIN], MACHINE, keyring="/none.gpg")


def test_apt_conf() -> None:
    settings = parse_settings('APT "";\nAcquire::Check-Valid-Until "false";\nA::B:: "x \\"y\\"";\nbroken\n')
    assert settings["acquire::check-valid-until"] == "false"
    assert replace(MACHINE, settings=settings).flag("Acquire::Check-Valid-Until") is False
    assert MACHINE.flag("Acquire::Check-Valid-Until") is None
    assert [boolean(word) for word in ("Yes", "0", "maybe", "")] == [True, False, None, None]


@pytest.mark.parametrize(
    ("settings", "environment", "proxy"),
    [
        ({}, {}, None),
        ({}, {"http_proxy": "http://env.test:3128"}, "http://env.test:3128"),
        ({}, {"http_proxy": "http://env.test:3128", "no_proxy": "mirror.test"}, None),
        ({"acquire::http::proxy": "http://apt.test"}, {"http_proxy": "http://env.test:3128"}, "http://apt.test"),
        ({"acquire::http::proxy": "http://apt.test", "acquire::http::proxy::mirror.test": "DIRECT"}, {}, None),
        ({"acquire::https::proxy": "http://apt.test"}, {}, None),
    ],
)
def test_proxy(
    settings: dict[str, str], environment: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for("http://mirror.test/debian/x", replace(MACHINE, settings=settings)) == proxy


def test_proxy_that_cannot_be_used() -> None:
    machine = replace(MACHINE, settings={"acquire::http::proxy": "socks5h://apt.test"})
    with pytest.raises(InvalidArgument, match="acquire::http::proxy is no proxy that can be used"):
        proxy_for("http://mirror.test/", machine)


def test_passwords_are_not_shown() -> None:
    assert without_user("http://me:secret@mirror.test:81/a@b") == "http://mirror.test:81/a@b"
    assert without_user("file:/mirror") == "file:/mirror"
