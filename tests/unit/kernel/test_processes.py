"""What a process changes about itself, and its terminal."""

import os
import signal
from collections.abc import Callable

import pytest

from cove.kernel import capabilities, pidfd, processes, rlimits, tty


def in_child(act: Callable[[], str]) -> str:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.set_inheritable(writer, True)
            writer_kept = os.dup2(writer, 200)
            os.write(writer_kept, act().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        found = answer.read().decode()
    os.waitpid(pid, 0)
    return found


def _status(field: str) -> str:
    with open("/proc/self/status") as status:
        return next(line.split(":", 1)[1].strip() for line in status if line.startswith(field + ":"))


def test_signals_are_what_a_program_expects() -> None:
    def act() -> str:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        processes.reset_signals()
        return _status("SigIgn") + _status("SigBlk")

    assert in_child(act) == "0" * 32


def test_only_what_is_kept_stays_open() -> None:
    def act() -> str:
        for number in (30, 31, 40):
            os.dup2(1, number)
        processes.close_all_but([0, 1, 31, 200])
        return " ".join(sorted(os.listdir("/proc/self/fd"), key=int))

    assert in_child(act).split()[:2] == ["0", "1"]
    assert "31" in in_child(act).split()
    assert not {"30", "40"} & set(in_child(act).split())


def test_close_on_exec() -> None:
    def act() -> str:
        os.dup2(1, 50, inheritable=True)
        processes.close_on_exec_from(3)
        return str(os.get_inheritable(50))

    assert in_child(act) == "False"


def test_name_and_dumpable() -> None:
    def act() -> str:
        processes.set_name("a name that is too long")
        processes.set_dumpable(False)
        return _status("Name")

    assert in_child(act) == "a name that is"


def test_masks_of_capabilities() -> None:
    assert capabilities.mask(["CAP_CHOWN", "CAP_SETFCAP"]) == 1 | 1 << 31
    with pytest.raises(ValueError, match="CAP_FLY"):
        capabilities.mask(["CAP_FLY"])
    assert capabilities.mask(list(capabilities.NAMES)) == (1 << capabilities.LAST + 1) - 1


def test_limits() -> None:
    def act() -> str:
        rlimits.set_limit("RLIMIT_NOFILE", 100, 200)
        rlimits.set_limit("RLIMIT_CORE", 0, 0)
        return os.popen("ulimit -Sn; ulimit -Hn; ulimit -c").read()

    assert in_child(act).split() == ["100", "200", "0"]
    with pytest.raises(ValueError, match="RLIMIT_FLIES"):
        rlimits.set_limit("RLIMIT_FLIES", 1, 1)


def test_a_signal_by_pidfd_does_not_reach_a_process_that_ended() -> None:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    descriptor = pidfd.open_pid(pid)
    assert pidfd.send_signal(descriptor, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not pidfd.send_signal(descriptor, signal.SIGKILL)
    os.close(descriptor)


def test_a_terminal_pair_its_size_and_raw_mode() -> None:
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    slave = tty.open_pair(master)
    try:
        tty.set_window_size(master, 24, 99)
        assert tty.window_size(slave) == (24, 99)
        former = tty.set_raw(slave)
        os.write(master, b"\x03\r")
        assert os.read(slave, 10) == b"\x03\r"
        tty.restore(slave, former)
        os.write(master, b"x\r")
        assert os.read(slave, 10) == b"x\n"
        assert not os.get_inheritable(slave)
    finally:
        os.close(master)
        os.close(slave)
