"""A shim's life: start, end, failures, signals, requests, a daemon that goes and comes back."""

import os
import select
import shutil
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cove.runtime import exit_record, messages
from harness.shims import PATIENCE, Client, RunningShim, Unisolated

Start = Callable[..., RunningShim]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_runs_and_its_exit_is_told_and_recorded(start: Start) -> None:
    shim = start("sh", "-c", "echo out; echo err >&2; exit 7")
    created = shim.expect(messages.Created)
    started = shim.expect(messages.Started)
    assert started.pid == created.pid
    exited = shim.expect(messages.Exited)
    shim.gone()
    assert (exited.exit_code, exited.oom_killed) == (7, False)
    assert exited.finished_at >= started.started_at
    assert exit_record.read(str(shim.directory)) == exited
    assert shim.isolation.cgroup_removed.exists()
    assert sorted(shim.log_lines()) == [("stderr", "err\n"), ("stdout", "out\n")]


def test_created_carries_the_network_namespace(start: Start) -> None:
    shim = start("true")
    received = messages.receive(shim.control)
    assert received is not None
    [network] = received[1]
    assert os.fstat(network).st_ino == os.stat("/proc/self/ns/net").st_ino
    os.close(network)


def test_the_run_directory_says_what_it_is(start: Start) -> None:
    shim = start("sleep", "100")
    shim.started()
    saved = messages.decode((shim.directory / "start.json").read_bytes())
    assert isinstance(saved, messages.StartShim) and saved.container_id == "c0ffee"
    mode = (shim.directory / "shim.sock").stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


def test_a_death_by_signal_counts_from_128(start: Start) -> None:
    shim = start("sleep", "100")
    shim.started()
    shim.ask(messages.Signal(3, None, signal.SIGTERM, False))
    answers = [messages.receive(shim.control), messages.receive(shim.control)]
    kinds = {type(answer[0]): answer[0] for answer in answers if answer}
    assert kinds[messages.Done] == messages.Done(3, None)
    assert isinstance(kinds[messages.Exited], messages.Exited) and kinds[messages.Exited].exit_code == 143


def test_a_program_that_is_not_there_fails_the_start(start: Start) -> None:
    client = Client()
    shim = start("/no/such/program", clients=[client])
    shim.expect(messages.Created)
    failed = shim.expect(messages.StartFailed)
    assert failed.exit_code == 127 and "/no/such/program" in failed.message
    assert client.read() == b""
    shim.gone()
    assert shim.isolation.cgroup_removed.exists()
    recorded = exit_record.read(str(shim.directory))
    assert recorded is not None and recorded.exit_code == 127


def test_a_control_group_that_is_refused_fails_the_start(start: Start) -> None:
    client = Client()
    shim = start("true", cgroup="/refused", clients=[client])
    failed = shim.expect(messages.StartFailed)
    assert failed.exit_code == 125 and "refused" in failed.message
    assert client.read() == b""
    shim.gone()


def test_a_first_process_that_is_killed_before_the_program_is_no_start(start: Start) -> None:
    shim = start("true", await_network=True)
    created = shim.expect(messages.Created)
    os.kill(created.pid, signal.SIGKILL)
    assert shim.expect(messages.StartFailed).exit_code == 128
    shim.gone()


def test_a_program_that_ends_before_its_namespaces_are_opened_has_run(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_isolation: Unisolated, pid: int, _spec: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", f"/proc/{pid}/ns/net")

    monkeypatch.setattr(Unisolated, "open_target", gone)
    shim = start("true")
    shim.started()
    assert shim.expect(messages.Exited).exit_code == 0
    shim.gone()


def test_the_program_waits_for_its_network(start: Start) -> None:
    shim = start("true", await_network=True)
    created = shim.expect(messages.Created)
    assert Path(f"/proc/{created.pid}/comm").read_text() == "cove-shim\n"
    shim.ask(messages.NetworkReady([]))
    shim.expect(messages.Started)
    shim.expect(messages.Exited)
    shim.gone()


def test_a_start_whose_daemon_goes_before_the_network_is_there_is_undone(start: Start) -> None:
    shim = start("true", await_network=True)
    created = shim.expect(messages.Created)
    shim.control.close()
    os.waitpid(shim.pid, 0)
    shim.pid = 0
    assert not alive(created.pid)
    recorded = exit_record.read(str(shim.directory))
    assert recorded is not None and recorded.exit_code == 128
    assert shim.isolation.cgroup_removed.exists()


def test_a_daemon_that_asks_nothing_more_is_told_of_the_end_once_it_is_recorded(start: Start) -> None:
    shim = start("sleep", "100")
    shim.started()
    shim.ask(messages.Signal(1, None, signal.SIGKILL, False))
    shim.control.shutdown(socket.SHUT_WR)
    shim.expect(messages.Done)
    told = shim.expect(messages.Exited)
    recorded = exit_record.read(str(shim.directory))
    assert recorded is not None and recorded.exit_code == told.exit_code
    shim.gone()


def test_an_undone_start_ends_though_its_directory_is_gone(start: Start) -> None:
    shim = start("true", await_network=True)
    created = shim.expect(messages.Created)
    shutil.rmtree(shim.directory)
    shim.control.close()
    os.waitpid(shim.pid, 0)  # it ends
    shim.pid = 0
    assert not alive(created.pid)


def test_a_container_outlives_its_daemon_which_comes_back(start: Start) -> None:
    shim = start("cat", stdin=True, stdin_once=True)
    started = shim.started()
    shim.control.close()
    shim.control = shim.connect()
    shim.ask(messages.Query(5))
    state = shim.expect(messages.State)
    assert state == messages.State(5, started.pid, started.started_at, {})
    client = Client()
    shim.attach(client)
    client.send(b"still here\n")
    client.half_close()
    assert client.frames() == {1: b"still here\n"}
    assert shim.expect(messages.Exited).exit_code == 0
    shim.gone()


def test_notices_go_to_every_connection(start: Start) -> None:
    shim = start("cat", stdin=True, stdin_once=True)
    shim.started()
    second = shim.connect()
    messages.send(second, messages.Query(1))
    shim.expect(messages.State, second)
    shim.ask(messages.Signal(1, None, signal.SIGKILL, False))
    shim.expect(messages.Exited, second)
    second.close()


def test_a_connection_that_sends_nonsense_is_closed_and_the_others_go_on(start: Start) -> None:
    shim = start("sleep", "100")
    shim.started()
    for nonsense in (b"{", b"5", b"[]", b'["Nothing"]', b'["Started",1,2]', b'["Attach",1,{}]', b"[" * 5000):
        stranger = shim.connect()
        stranger.send(nonsense)
        assert stranger.recv(1) == b"", nonsense
        stranger.close()
    shim.ask(messages.Query(1))
    shim.expect(messages.State)


def test_a_request_of_another_version_is_refused(start: Start) -> None:
    shim = start("sleep", "100")
    shim.started()
    for unknown in (b'["Levitate",9,"high"]', b'["Resize",9,null,1,2,3,4]'):
        shim.control.send(unknown)
        assert shim.expect(messages.Failed).request == 9


def test_leftovers_of_a_container_in_the_host_s_pid_namespace_are_killed(start: Start) -> None:
    shim = start("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!")
    shim.started()
    assert shim.expect(messages.Exited).exit_code == 0
    shim.gone()
    [(_stream, text)] = shim.log_lines()
    assert not alive(int(text))


def test_signals_of_the_daemon_s_end_do_not_touch_the_shim(start: Start) -> None:
    shim = start("sleep", "100")
    shim.started()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(shim.pid, number)
    shim.ask(messages.Query(1))
    shim.expect(messages.State)


def test_limits_are_changed_or_refused(start: Start) -> None:
    shim = start("sleep", "100")
    shim.started()
    shim.ask(messages.Update(1, {"pids": {"limit": 50}}))
    assert "pids.max" in shim.expect(messages.Failed).message, "the control group is not there"
    limits = shim.directory / "limits"
    limits.mkdir()
    (limits / "pids.max").touch()
    shim.ask(messages.Update(2, {"pids": {"limit": 50}}))
    assert shim.expect(messages.Done) == messages.Done(2, None)
    assert (limits / "pids.max").read_text() == "50"
    shim.ask(messages.Update(3, {"memory": {"swap": 5}}))
    assert "a swap limit needs a memory limit" in shim.expect(messages.Failed).message


def test_everyone_is_signalled(start: Start) -> None:
    shim = start(
        "sh", "-c", "trap 'wait; exit 3' TERM; sh -c 'echo ready; exec sleep 1000' & wait", clients=[client := Client()]
    )
    shim.started()
    client.read(b"ready\n")
    shim.ask(messages.Signal(1, None, signal.SIGTERM, True))
    shim.expect(messages.Done)
    assert shim.expect(messages.Exited).exit_code == 3


def test_the_shim_s_death_takes_the_container_with_it(start: Start) -> None:
    shim = start("sleep", "1000")
    pid = shim.started().pid
    watch = os.pidfd_open(pid)
    os.kill(shim.pid, signal.SIGKILL)
    assert shim.control.recv(1) == b""
    assert select.select([watch], [], [], PATIENCE)[0]
    os.close(watch)


def test_many_messages_wait_for_a_daemon_that_is_busy(start: Start) -> None:
    shim = start("sleep", "100")
    shim.started()
    for number in range(400):  # far more than a socket holds unread
        messages.send(shim.control, messages.Query(number))
    assert [shim.expect(messages.State).request for _ in range(400)] == list(range(400))
