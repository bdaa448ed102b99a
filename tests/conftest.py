"""Declared needs: a test that cannot run here says why; with ``--strict-needs`` an unexpected one fails the run."""

import os
import signal
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

from harness import needs
from harness.fixtures import _shared_daemon, _shared_remapped, daemon, fresh_daemon, peer, remapped
from harness.oci import forget_interpreter

__all__ = ["_shared_daemon", "_shared_remapped", "daemon", "fresh_daemon", "peer", "remapped"]

# How long an example takes says how busy the machine is.
settings.register_profile("cove", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cove")

Skipped = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("needs")
    group.addoption(
        "--strict-needs", action="store_true", help="fail when a test is skipped that was not expected to be"
    )
    group.addoption("--expect-missing", default="", metavar="NAMES", help="needs that this machine may lack: name,name")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[Skipped] = Counter()
    # A shell that starts us in the background has us ignore it, and programs under test would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    names = [name for mark in item.iter_markers("needs") for name in mark.args]
    if item.get_closest_marker("root"):
        names.append("root")
    for name in names:
        if reason := needs.missing(name):
            pytest.skip(reason)


class _SkipCounter:
    def __init__(self, config: pytest.Config) -> None:
        self._skipped = config.stash[Skipped]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped[_reason(report)] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped[_reason(report)] += 1


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(_SkipCounter(session.config))


def _unexpected(config: pytest.Config) -> list[str]:
    expected = tuple(f"needs {name}:" for name in config.getoption("--expect-missing").split(",") if name)
    return [reason for reason in config.stash[Skipped] if not expected or not reason.startswith(expected)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--strict-needs") and _unexpected(session.config) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if os.geteuid() == 0 and not hasattr(session.config, "workerinput"):  # the last of several processes
        forget_interpreter()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = config.stash[Skipped]
    if not skipped:
        return
    unexpected = _unexpected(config)
    terminalreporter.section("what could not run here")
    for reason, count in sorted(skipped.items()):
        terminalreporter.line(f"{count:4} x {reason}{'  ← not expected' if reason in unexpected else ''}")
