"""A registry that lies, breaks off or never ends is met with a clear error, and nothing of it is kept."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.daemon import Daemon
from harness.engine import Completed, Engine
from harness.lying_registry import LyingRegistry, lying_registry

pytestmark = pytest.mark.needs("root", "cove", "busybox-static", "docker-cli")

REFUSED = {
    "wrong-digest": "filesystem layer verification failed for digest sha256:",
    "wrong-config": "image config verification failed for digest sha256:",
    "wrong-manifest": "manifest verification failed for digest sha256:",
    "short": "bytes, ",
    "long": "were announced",
    "endless": "more than the ",
    "endless-manifest": "is larger than 4194304 bytes",
    "redirect-loop": "stopped after 10 redirects",
    "redirect-file": "redirects to what is not to be trusted: 'file:///etc/passwd'",
    "truncated-wrong": "the registry's answer begins at '0', not at ",
    "truncated": "Response payload is not completed",
    "429": "toomanyrequests",
    "500": "received unexpected HTTP status: 500 Internal Server Error",
    "wrong-diff-id": "layers from manifest don't match image configuration",
    "no-archive": "invalid tar header",
    "wrong-size": "were announced",
    "negative-size": "bad descriptor",
    "bad-digest": "bad descriptor: invalid checksum digest",
    "missing-layer": "blob unknown to registry",
    "schema-1": "schema 2",
    "no-json": "manifest cannot be read",
    "nested-json": "manifest cannot be read",
    "huge-manifest": "is larger than 4194304 bytes",
    "wide-index": "is larger than 4194304 bytes",
    "deep-index": "more than 4 indexes in each other",
}
"""What users are told of each lie (see ``harness.lying_registry``)."""


def kept(daemon: Engine) -> set[str]:
    """Blobs, layers and files in the making below the data root."""
    places = ("blobs/sha256", "layers", "tmp")
    return {f"{place}/{path.name}" for place in places for path in (daemon.data_root / place).glob("*")}


def pulls(daemon: Engine, registry: LyingRegistry, lies: Iterable[str]) -> dict[str, Completed]:
    """Every lie at once."""
    lies = list(lies)
    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda lie: daemon.docker("pull", registry.image(lie), check=False), lies)
        return dict(zip(lies, done, strict=True))


def test_lies_are_met_with_errors(daemon: Engine) -> None:
    before = kept(daemon)
    with lying_registry(daemon) as registry:
        done = pulls(daemon, registry, REFUSED)
    wrong = {lie: each for lie, each in done.items() if each.code != 1 or REFUSED[lie] not in each.err}
    assert not wrong
    assert kept(daemon) == before


def test_what_goes_wrong_once_is_overcome(daemon: Engine) -> None:
    lies = ("honest", "truncated-once", "truncated-no-range", "429-once", "500-once")
    with lying_registry(daemon) as registry:
        done = pulls(daemon, registry, lies)
        assert not {lie: each for lie, each in done.items() if each.code}
        for lie in lies:
            name = registry.image(lie)
            assert daemon.docker("run", "--rm", name, "cat", "/repository").out == f"{lie}/image"
            daemon.docker("rmi", name)
        ranges = [asked["range"] for asked in registry.requests("truncated-once") if asked["range"]]
        assert len(ranges) == 1 and not ranges[0].startswith("bytes=0-"), ranges


@pytest.mark.parametrize("lie", ["401-loop", "401-basic", "endless-token"])
def test_tokens_that_nobody_takes(daemon: Engine, lie: str) -> None:
    before = kept(daemon)
    with lying_registry(daemon, lie) as registry:
        done = daemon.docker("pull", registry.image(lie), check=False)
        assert done.code == 1 and done.err, done
        assert len(registry.requests(lie)) < 10
    assert kept(daemon) == before


def test_a_token_that_is_refused_is_replaced(daemon: Engine) -> None:
    with lying_registry(daemon, "401-once") as registry:
        name = registry.image("401-once")
        daemon.docker("pull", name)
        assert daemon.docker("run", "--rm", name, "cat", "/repository").out == "401-once/image"
        daemon.docker("rmi", name)


def test_a_registry_that_falls_silent(fresh_daemon: Daemon) -> None:
    fresh_daemon.restart_with("--registry-silence=2", "--max-download-attempts=1")
    before = kept(fresh_daemon)
    with lying_registry(fresh_daemon) as registry:
        done = pulls(fresh_daemon, registry, ("drip", "stall", "no-answer"))
    assert not {lie: each for lie, each in done.items() if each.code != 1 or not each.err}
    assert kept(fresh_daemon) == before
