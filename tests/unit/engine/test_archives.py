"""Paths, modes and times of ``docker cp`` as Docker's clients have them, and the configuration of a commit."""

import stat

import pytest

from cove.engine.containers.archives import cleaned, go_mode, go_time
from cove.engine.containers.commits import image_config
from cove.errors import InvalidArgument
from cove.wire.config import Config
from cove.wire.containers import CommitOptions


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("/", "/"),
        (".", "/."),
        ("/.", "/."),
        ("a", "/a"),
        ("//a//b", "/a/b"),
        ("/a/..", "/"),
        ("/../../etc", "/etc"),
        ("/a/", "/a/"),
        ("/a/.", "/a/."),
        ("/a/./", "/a/."),
        ("/a/../", "/"),
    ],
)
def test_path(given: str, clean: str) -> None:
    assert cleaned(given) == clean


@pytest.mark.parametrize(
    ("mode", "go"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o755, 2147484141),
        (stat.S_IFLNK | 0o777, 134218239),
        (stat.S_IFIFO | 0o644, 33554852),
        (stat.S_IFREG | 0o4755, 0o755 | 1 << 23),
        (stat.S_IFDIR | 0o1777, 1 << 31 | 1 << 20 | 0o777),
        (stat.S_IFCHR | 0o666, 1 << 26 | 1 << 21 | 0o666),
    ],
)
def test_mode(mode: int, go: int) -> None:
    assert go_mode(mode) == go


def test_time() -> None:
    assert go_time(1_000_000_000) == "1970-01-01T00:00:01Z"
    assert go_time(1_520_000_000) == "1970-01-01T00:00:01.52Z"
    assert go_time(-1) == "1969-12-31T23:59:59.999999999Z"


def _options(*changes: str, config: Config | None = None) -> CommitOptions:
    return CommitOptions(container="box", changes=list(changes), config=config)


def test_a_commit_keeps_what_the_container_has() -> None:
    container = Config(hostname="abc", env=["A=1"], cmd=["sh"], entrypoint=["/in"], user="me", labels={"x": "y"})
    made = image_config(container, _options())
    assert (made.env, made.cmd, made.entrypoint, made.user) == (["A=1"], ["sh"], ["/in"], "me")
    assert (made.hostname, made.labels) == ("", {"x": "y"})


def test_changes_are_over_the_request_and_that_over_the_container() -> None:
    container = Config(env=["A=1", "B=1", "C=1"], cmd=["sh"], working_dir="/old")
    made = image_config(container, _options("ENV C=3", "WORKDIR /new", config=Config(env=["B=2", "C=2"], cmd=["top"])))
    assert sorted(made.env or []) == ["A=1", "B=2", "C=3"]
    assert (made.cmd, made.working_dir) == (["top"], "/new")


def test_an_entry_point_drops_the_command() -> None:
    made = image_config(Config(cmd=["sh"]), _options('ENTRYPOINT ["/in"]'))
    assert (made.entrypoint, made.cmd) == (["/in"], None)


def test_a_change_that_is_none() -> None:
    with pytest.raises(InvalidArgument, match="run is not a valid change command"):
        image_config(Config(), _options("RUN true"))
