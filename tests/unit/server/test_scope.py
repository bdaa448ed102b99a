"""What a scoped socket may do, by its scope alone."""

import pytest

from cove.errors import InvalidArgument
from cove.server.scope import Scope, checked_name, scope


@pytest.mark.parametrize(
    ("allow", "method", "path", "allowed"),
    [
        ((), "DELETE", "/anything", True),
        (("GET /containers/**",), "GET", "/containers/json", True),
        (("GET /containers/**",), "GET", "/containers/a/logs", True),
        (("GET /containers/**",), "HEAD", "/containers/a/archive", True),
        (("GET /containers/**",), "GET", "/containers", True),
        (("GET /containers/**",), "POST", "/containers/a/start", False),
        (("GET /containers/**",), "GET", "/containersx", False),
        (("GET /containers/*",), "GET", "/containers/a/logs", False),
        (("GET /containers/*/logs",), "GET", "/containers/a/logs", True),
        (("* /volumes",), "POST", "/volumes", True),
        (("GET /a.c",), "GET", "/abc", False),
        (("GET /containers/**",), "HEAD", "/_ping", True),
        (("GET /containers/**",), "GET", "/version", True),
        (("GET /x", "POST /y"), "POST", "/y", True),
    ],
)
def test_requests(allow: tuple[str, ...], method: str, path: str, allowed: bool) -> None:
    assert Scope(allow).allows(method, path) is allowed


def test_objects() -> None:
    mine = Scope(labels={"team": "a"})
    assert mine.owns({"team": "a", "other": "b"})
    assert not mine.owns({"team": "b"}) and not mine.owns({})
    assert Scope().owns({})


@pytest.mark.parametrize(
    ("allow", "deny", "labels", "message"),
    [
        (["GET"], [], {}, "allow: 'GET' is not a method and a path"),
        (["get /x"], [], {}, "allow: 'get /x' is not a method and a path"),
        ([], ["everything"], {}, "deny: 'everything' is not one of exec, privileged, bind, host"),
        ([], [], {"": "x"}, "labels: a label without a name"),
    ],
)
def test_what_is_refused(allow: list[str], deny: list[str], labels: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        scope(allow, deny, labels)


@pytest.mark.parametrize("name", ["", "/x", "..", "a/b", "x" * 65, "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid socket name"):
        checked_name(name)
