"""A registry that asks for tokens, as Docker Hub does: scopes, refresh tokens, tokens that end, nobody's."""

import json
from collections.abc import Iterator

import pytest

from harness.engine import Engine
from harness.registries import KINDS, served
from harness.token_gate import REFRESH, TokenGate, token_gate

pytestmark = pytest.mark.needs("root", "docker-registry", "docker-cli", "cove")


@pytest.fixture(params=KINDS)
def gate(daemon: Engine, request: pytest.FixtureRequest) -> Iterator[TokenGate]:
    with served(daemon, request.param) as registry, token_gate(daemon, int(registry.host.rpartition(":")[2])) as found:
        yield found
        daemon.docker("logout", found.host)


def test_a_login_is_exchanged_for_tokens_of_each_repository(daemon: Engine, gate: TokenGate) -> None:
    one, other = f"{gate.host}/team/one:1", f"{gate.host}/team/other:1"
    daemon.docker("login", "-u", "u", "--password-stdin", gate.host, input="p")
    kept = json.loads((daemon.base / "config" / "config.json").read_text())["auths"][gate.host]
    assert kept["identitytoken"] == REFRESH
    daemon.docker("tag", "busybox", one)
    daemon.docker("push", one)
    daemon.docker("tag", one, other)
    assert "Mounted from team/one" in daemon.docker("push", other).out
    daemon.docker("rmi", one, other)
    daemon.docker("pull", other)
    assert daemon.docker("run", "--rm", other, "echo", "hello").out == "hello\n"
    daemon.docker("rmi", other)
    at_login, *later = gate.asked()
    assert at_login[0] == "password" and {how for how, _ in later} == {"refresh"}
    mounting = {"repository:team/other:pull,push", "repository:team/one:pull"}
    assert [set(scopes) for _, scopes in later].count(mounting) >= 1
    assert {frozenset(scopes) for _, scopes in later} == {
        frozenset({"repository:team/one:pull,push"}),
        frozenset({"repository:team/other:pull,push"}),
        frozenset(mounting),
        frozenset({"repository:team/other:pull"}),
    }
    assert len(later) > 4  # each token is good for a few requests only


def test_who_has_no_password_is_nobody(daemon: Engine, gate: TokenGate) -> None:
    name = f"{gate.host}/team/app:1"
    refused = daemon.docker("pull", name, check=False)
    assert refused.code == 1 and "unauthorized" in refused.err
    daemon.docker("tag", "busybox", name)
    refused = daemon.docker("push", name, check=False)
    assert refused.code == 1 and "unauthorized" in refused.err
    wrong = daemon.docker("login", "-u", "u", "--password-stdin", gate.host, input="wrong", check=False)
    assert wrong.code == 1 and "wrong user or password" in wrong.err
    assert {how for how, _ in gate.asked()} == {"nobody"}
