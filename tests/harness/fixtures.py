"""Fixtures for tests that need an engine. ``tests/conftest.py`` brings them to every test.

``daemon``: one coved for all tests of a worker, leak-checked after each. ``fresh_daemon``: one for this test alone, to
be stopped, killed and restarted. ``peer``: Docker's engine. With COVE_TEST_PEER=1 in the environment Docker's engine
stands in for ``daemon``, without a leak check: a test of what a user sees must pass there too.
"""

import itertools
import os
from collections.abc import Iterator

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.leaks import LeakCheck, remove_everything
from harness.needs import TESTING_THE_TESTS
from harness.peer import Peer
from harness.remapped import Remapped

_numbers = itertools.count(1)


def _name(kind: str) -> str:
    return f"cove-test-{os.getpid()}-{kind}{next(_numbers)}"


def _started(engine: Engine) -> Engine:
    """Start it, with the base image, and with what it makes once and would else be taken for a leak."""
    try:
        engine.start()
        engine.load_base_image()
        engine.docker("run", "--rm", "-p", "18080:80", "busybox", "true")
        remove_everything(engine, keep_images=True)
    except BaseException:
        engine.close()
        raise
    return engine


@pytest.fixture(scope="session")
def peer() -> Iterator[Engine]:
    """Docker's engine, for comparing; one per worker."""
    engine = _started(Peer(_name("peer")))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def _shared_daemon() -> Iterator[tuple[Daemon, LeakCheck]]:
    daemon = Daemon(_name("d"), "--debug")
    _started(daemon)
    try:
        yield daemon, LeakCheck(daemon)
    finally:
        daemon.close()


@pytest.fixture
def daemon(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine with the image busybox and nothing else; what a test leaves is removed, then leaks are looked for."""
    if TESTING_THE_TESTS:
        engine: Engine = request.getfixturevalue("peer")
        yield engine
        remove_everything(engine, keep_images=True)
        return
    shared, leaks = request.getfixturevalue("_shared_daemon")
    yield shared
    assert shared.running, f"the daemon ended:\n{shared.log_tail()}"
    shared.disconnect()
    remove_everything(shared, keep_images=True)
    leaks.check()


@pytest.fixture
def fresh_daemon() -> Iterator[Daemon]:
    """A coved for one test, which may stop, kill and restart it; it must leave nothing either."""
    daemon = Daemon(_name("f"), "--debug")
    _started(daemon)
    try:
        leaks = LeakCheck(daemon)
        yield daemon
        if not daemon.running:
            daemon.start()
        daemon.disconnect()
        remove_everything(daemon, keep_images=True)
        leaks.check()
    finally:
        daemon.close()


@pytest.fixture(scope="session")
def _shared_remapped() -> Iterator[tuple[Remapped, LeakCheck]]:
    daemon = Remapped(_name("u"), "--debug", "--userns-remap=default")
    _started(daemon)
    try:
        yield daemon, LeakCheck(daemon)
    finally:
        daemon.close()


@pytest.fixture
def remapped(_shared_remapped: tuple[Remapped, LeakCheck]) -> Iterator[Remapped]:
    """A coved with --userns-remap=default, as ``daemon``; one per worker."""
    daemon, leaks = _shared_remapped
    yield daemon
    assert daemon.running, f"the daemon ended:\n{daemon.log_tail()}"
    daemon.disconnect()
    remove_everything(daemon, keep_images=True)
    leaks.check()
