"""The default AppArmor profile: what is loaded, by a parser that notes what it is given, and who gets it."""

from pathlib import Path

import pytest

from cove.daemon import apparmor
from cove.engine.bundle.security import apparmor_profile, parse

PARSER = """#!/bin/sh
cd "$(dirname "$0")"
[ ! -e fails ] || { echo no >&2; exit 1; }
echo "$@" >args
cat >given
"""


@pytest.fixture
def parser(tmp_path: Path) -> Path:
    """Its directory; ``given`` is what it read, ``fails`` makes it fail."""
    program = tmp_path / "apparmor_parser"
    program.write_text(PARSER)
    program.chmod(0o755)
    return tmp_path


def test_it_is_loaded_once(parser: Path) -> None:
    search = f"{parser}:/usr/bin:/bin"
    loaded = parser / "profiles"
    assert apparmor.ensure(["capability", "apparmor"], loaded=loaded, search=search) == apparmor.NAME
    assert (parser / "args").read_text() == "-Kr\n" and "profile cove-default flags=" in (parser / "given").read_text()
    (parser / "given").unlink()
    loaded.write_text("unconfined (enforce)\ncove-default (enforce)\n")
    assert apparmor.ensure(["apparmor"], loaded=loaded, search=search) == apparmor.NAME
    assert not (parser / "given").exists()


def test_where_it_cannot_be_containers_go_without(parser: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert apparmor.ensure(["selinux"], loaded=parser / "profiles", search=str(parser)) == ""
    assert apparmor.ensure(["apparmor"], loaded=parser / "profiles", search=str(parser / "none")) == ""
    assert "there is no apparmor_parser" in caplog.text
    (parser / "fails").touch()
    assert apparmor.ensure(["apparmor"], loaded=parser / "profiles", search=f"{parser}:/usr/bin:/bin") == ""
    assert "could not be loaded: no" in caplog.text


def test_the_text_is_closed_and_denies_what_docker_s_does() -> None:
    text = apparmor.profile(abstractions=False)
    assert text.count("{") == text.count("}") and "include" not in text
    assert all(line.rstrip().endswith(("{", "}", ",", "/")) for line in text.splitlines() if line)
    for denied in ("mount,", "@{PROC}/sysrq-trigger rwklx,", "@{PROC}/kcore rwklx,", "/sys/firmware/**"):
        assert f"deny {denied}" in text


@pytest.mark.parametrize(
    ("options", "modules", "privileged", "chosen"),
    [
        ([], ["apparmor"], False, "cove-default"),
        ([], ["apparmor"], True, ""),
        ([], ["selinux"], False, ""),
        (["apparmor=mine"], ["apparmor"], False, "mine"),
        (["apparmor=mine"], ["apparmor"], True, "mine"),
        (["apparmor=mine"], [], False, ""),
        (["apparmor=unconfined"], ["apparmor"], False, ""),
    ],
)
def test_who_gets_it(options: list[str], modules: list[str], privileged: bool, chosen: str) -> None:
    assert apparmor_profile(parse(options), modules, "" if privileged else "cove-default") == chosen
