"""Requests that cannot be meant: refused with the field's name, and nothing is left of them."""

from typing import Any

import pytest

from harness.engine import Engine

pytestmark = [pytest.mark.needs("cove")]


def create(engine: Engine, **host: Any) -> tuple[int, str]:
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": host}
    answer = engine.http("POST", "/containers/create?name=odd", body)
    return answer.status, answer.body.decode()


@pytest.mark.parametrize("parent", ["../../x", "a/./b", "a\0"])
def test_cgroup_parent_that_is_no_path(daemon: Engine, parent: str) -> None:
    status, message = create(daemon, CgroupParent=parent)
    assert status == 400
    assert "CgroupParent" in message


def test_cgroup_parent_at_the_root(daemon: Engine) -> None:
    assert create(daemon, CgroupParent="/")[0] == 201
    assert daemon.docker("start", "-a", "odd").code == 0


@pytest.mark.parametrize("option", [{"max-file": "x"}, {"max-file": "0"}, {"max-size": "-5"}])
def test_log_options_that_are_no_numbers(daemon: Engine, option: dict[str, str]) -> None:
    status, message = create(daemon, LogConfig={"Type": "json-file", "Config": option})
    assert status == 400
    assert next(iter(option.values())) in message
