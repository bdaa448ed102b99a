"""The messages between daemon, zygote and shims."""

import os
import socket

import pytest

from cove.runtime import messages

ALL: list[messages.Message] = [
    messages.StartShim(
        "id",
        "/run",
        {"lower": ["/l"], "upper": "/u", "work": "/w"},
        {"driver": "none", "path": "", "max_size": 0, "max_file": 0},
        False,
        False,
        False,
        True,
        [],
    ),
    messages.Created(1),
    messages.NetworkReady([{"name": "eth0", "addresses": ["10.0.0.2/24"], "gateway4": "10.0.0.1", "gateway6": None}]),
    messages.Started(1, 2),
    messages.StartFailed(127, "exec: ü"),
    messages.Exited(0, False, 3),
    messages.Signal(1, None, 9, True),
    messages.Update(1, {"pids": {"limit": 5}}),
    messages.State(1, 2, None, {"e": 3}),
]


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(message: messages.Message) -> None:
    assert messages.decode(messages.encode(message)) == message


def test_descriptors_travel_in_order_and_close_on_exec() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, open(os.devnull) as null, open("/proc/self/status") as status:
        messages.send(ours, messages.Created(1), [null.fileno(), status.fileno()])
        received = messages.receive(theirs)
        assert received is not None
        assert [os.readlink(f"/proc/self/fd/{fd}").rsplit("/")[-1] for fd in received[1]] == ["null", "status"]
        for descriptor in received[1]:
            assert not os.get_inheritable(descriptor)
            os.close(descriptor)
        ours.close()
        assert messages.receive(theirs) is None


def test_descriptors_of_nonsense_are_closed() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, open(os.devnull) as null:
        before = os.listdir("/proc/self/fd")
        socket.send_fds(ours, [b"nonsense"], [null.fileno()] * 3)
        with pytest.raises(ValueError):
            messages.receive(theirs)
        assert os.listdir("/proc/self/fd") == before


def test_an_unknown_message_names_its_request() -> None:
    with pytest.raises(messages.UnknownMessage) as caught:
        messages.decode(b'["Levitate",4]')
    assert caught.value.request == 4
