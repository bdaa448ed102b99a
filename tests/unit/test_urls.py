"""URLs as they may be shown."""

import pytest

from cove.build.planning.graph import Origin


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://token@host/o/r.git#main:a@b", "https://host/o/r.git#main:a@b"),
        ("https://me:pa@ss@host:81/x", "https://host:81/x"),
        ("https://me:@host/x", "https://host/x"),
        ("https://me:x@[::1/x", "https://[::1/x"),
        ("https://me:x@host?a=b@c", "https://host?a=b@c"),
        ("https://host/a@b", "https://host/a@b"),
        ("git@host:o/r.git", "git@host:o/r.git"),
    ],
)
def test_who_asks_is_not_shown(url: str, shown: str) -> None:
    assert Origin.of(url).url == shown
