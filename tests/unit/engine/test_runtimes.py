"""Which runtime a name means."""

from pathlib import Path

import pytest

from cove.engine.bundle.runtimes import OWN, Program, Runtimes
from cove.errors import InvalidArgument


def test_our_own_is_the_default() -> None:
    runtimes = Runtimes({})
    assert runtimes.default == OWN
    assert all(runtimes.foreign(name) is None for name in ("", OWN, "io.containerd.runc.v2"))


def test_a_configured_one_has_its_arguments(tmp_path: Path) -> None:
    runtimes = Runtimes({"mine": Program("/opt/mine", ("--flag",))}, "mine")
    assert runtimes.default == "mine"
    assert runtimes.foreign("mine") == {"path": "/opt/mine", "arguments": ["--flag"]}
    assert runtimes.shown()["mine"] == Program("/opt/mine", ("--flag",))


def test_a_path_must_be_a_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("")
    runtimes = Runtimes({})
    for name in ("nope", str(program), str(tmp_path), "relative/path"):
        with pytest.raises(InvalidArgument, match=f"unknown or invalid runtime name: {name}"):
            runtimes.check(name)
    program.chmod(0o755)
    assert runtimes.foreign(str(program)) == {"path": str(program), "arguments": []}


def test_settings_that_cannot_be() -> None:
    with pytest.raises(InvalidArgument, match="reserved"):
        Runtimes({OWN: Program("/opt/mine")})
    with pytest.raises(InvalidArgument, match="unknown or invalid runtime name: gone"):
        Runtimes({}, "gone")
