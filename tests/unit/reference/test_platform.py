import os
import re

import pytest

from cove.errors import InvalidArgument
from cove.platform import Platform, host


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/x86_64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i386", "linux/386"),
        ("s390x", f"{host().os}/s390x"),
    ],
)
def test_normal_form(text: str, normal: str) -> None:
    assert str(Platform.parse(text)) == normal


def test_the_rest_is_this_machines() -> None:
    assert Platform.parse("linux") == host()
    assert host().os == os.uname().sysname.lower()


@pytest.mark.parametrize("text", ["linux/", "a/b/c/d", "linux/am d64", "/amd64"])
def test_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=f'"{re.escape(text)}": .*: invalid argument$'):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("wanted", "offered", "rank"),
    [
        ("linux/amd64", "linux/amd64", 0),
        ("linux/amd64", "linux/amd64/v2", None),
        ("linux/amd64/v3", "linux/amd64", 2),
        ("linux/arm/v7", "linux/arm/v6", 1),
        ("linux/arm/v6", "linux/arm/v7", None),
        ("linux/arm64", "linux/arm/v7", 11),
        ("linux/amd64", "linux/arm64", None),
        ("linux/amd64", "windows/amd64", None),
    ],
)
def test_preference(wanted: str, offered: str, rank: int | None) -> None:
    assert Platform.parse(wanted).preference(Platform.parse(offered)) == rank
