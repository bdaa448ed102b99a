"""Listening sockets: unix, tcp, and those that a service manager hands over."""

import fcntl
import grp
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.daemon.listeners import listeners
from cove.daemon.settings import Settings
from cove.errors import Conflict, CoveError, InvalidArgument, Unavailable


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    """Closed at the end."""
    made: list[socket.socket] = []
    yield made
    for listener in made:
        listener.close()


def refusal(*hosts: str, group: str = "docker") -> CoveError:
    with pytest.raises(CoveError) as refused:
        listeners(Settings(hosts=hosts, group=group))
    return refused.value


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@pytest.mark.root
@pytest.mark.parametrize("group", ["docker", grp.getgrgid(0).gr_name, "tty", "12345"])
def test_a_unix_socket_is_its_group_s(tmp_path: Path, opened: list[socket.socket], group: str) -> None:
    path = tmp_path / "made" / "api.sock"
    opened += listeners(Settings(hosts=(f"unix://{path}",), group=group))
    names = {item.gr_name: item.gr_gid for item in grp.getgrall()}
    assert path.stat().st_mode & 0o777 == 0o660 and path.stat().st_uid == 0
    assert path.stat().st_gid == (int(group) if group.isdecimal() else names.get(group, 0))
    assert answers(path) and not os.get_inheritable(opened[0].fileno())


@pytest.mark.root
def test_a_stale_socket_is_replaced(tmp_path: Path, opened: list[socket.socket]) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
        gone.listen()
    assert path.is_socket() and not answers(path)
    opened += listeners(Settings(hosts=(f"unix://{path}",)))
    assert answers(path)


def test_a_socket_that_answers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        refused = refusal(f"unix://{path}")
        assert isinstance(refused, Conflict)
        assert refused.message == f"cannot listen on unix://{path}: another process does"
        assert answers(path)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    path.write_text("precious")
    refused = refusal(f"unix://{path}")
    assert refused.message == f"cannot listen on unix://{path}: there is a file that is no socket"
    assert path.read_text() == "precious"


def test_a_directory_is_no_socket(tmp_path: Path) -> None:
    assert "there is a file that is no socket" in refusal(f"unix://{tmp_path}").message


def test_a_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    refused = refusal(f"unix://{path}")
    assert isinstance(refused, Unavailable)
    assert refused.message == f"cannot listen on unix://{path}: AF_UNIX path too long"


def test_a_group_that_does_not_exist_is_named(tmp_path: Path) -> None:
    refused = refusal(f"unix://{tmp_path}/api.sock", group="no-such-group")
    assert isinstance(refused, InvalidArgument)
    assert refused.message == "failed to load listeners: group no-such-group not found"
    assert list(tmp_path.iterdir()) == []


def test_the_mask_is_as_it_was(tmp_path: Path, opened: list[socket.socket]) -> None:
    before = os.umask(0o027)
    try:
        refusal(f"unix://{tmp_path / ('x' * 120)}")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tcp(opened: list[socket.socket], host: str) -> None:
    opened += listeners(Settings(hosts=(f"tcp://{host}:0",)))
    with socket.create_connection(opened[0].getsockname()):
        pass


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://127.0.0.1", "invalid bind address (tcp://127.0.0.1): use tcp://HOST:PORT"),
        ("tcp://:1", "invalid bind address (tcp://:1): use tcp://HOST:PORT"),
        ("tcp://h:x", "invalid bind address (tcp://h:x): Port could not be cast to integer value as 'x'"),
        ("tcp://h:70000", "invalid bind address (tcp://h:70000): Port out of range 0-65535"),
    ],
)
def test_tcp_addresses_that_are_none(address: str, message: str) -> None:
    refused = refusal(address)
    assert isinstance(refused, InvalidArgument) and refused.message == message


def test_a_port_that_is_taken_is_named_and_the_others_are_closed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        before = len(os.listdir("/proc/self/fd"))
        refused = refusal("tcp://127.0.0.1:0", address)
        assert isinstance(refused, Unavailable) and refused.message.startswith(f"cannot listen on {address}: ")
        assert len(os.listdir("/proc/self/fd")) == before


def test_no_sockets_were_handed_over() -> None:
    assert refusal("fd://").message == (
        "no sockets found via socket activation: make sure the service was started by systemd"
    )


ACTIVATED = """
import os, sys
from cove.daemon.listeners import listeners
from cove.daemon.settings import Settings
os.environ.update(LISTEN_PID=str(os.getpid() if sys.argv[1] == "mine" else 1), LISTEN_FDS="2", LISTEN_FDNAMES="a:b")
made = listeners(Settings(hosts=("fd://",)))
assert not {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} & set(os.environ)
assert [listener.fileno() for listener in made] == [3, 4]
assert not any(os.get_inheritable(listener.fileno()) for listener in made)
for listener in made:
    listener.accept()[0].sendall(b"served")
"""


@pytest.mark.parametrize("owner", ["mine", "another's"])
def test_sockets_of_a_service_manager(owner: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        high = [fcntl.fcntl(listener, fcntl.F_DUPFD, 50) for listener in (first, second)]
        try:
            with subprocess.Popen(
                [
                    "bash",
                    "-c",
                    f'exec 3<&{high[0]} 4<&{high[1]}; exec "$@"',
                    "bash",
                    sys.executable,
                    "-c",
                    ACTIVATED,
                    owner,
                ],
                pass_fds=high,
                stderr=subprocess.PIPE,
                text=True,
            ) as child:
                if owner == "mine":
                    for listener in (first, second):
                        with socket.create_connection(listener.getsockname()) as client:
                            assert client.recv(10) == b"served"
                assert child.stderr is not None
                complaint = child.stderr.read()
            assert (child.returncode == 0) == (owner == "mine"), complaint
            assert ("no sockets found via socket activation" in complaint) == (owner != "mine")
        finally:
            for descriptor in high:
                os.close(descriptor)
