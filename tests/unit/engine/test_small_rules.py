"""Names, signals, restart policies, the files of /etc, and the processes that ``top`` shows."""

import os
import signal

import pytest

from cove.engine import signals
from cove.engine.bundle import privileges, security
from cove.engine.containers import names, processes
from cove.engine.containers.record import State
from cove.engine.lifecycle import restarts
from cove.engine.networking import etcfiles
from cove.errors import InvalidArgument
from cove.kernel import capabilities
from cove.wire.host_config import RestartPolicy


@pytest.mark.parametrize("name", ["ab", "a_b", "A.b-c", "0x", "a" * 300])
def test_names(name: str) -> None:
    assert names.checked(name) == name and names.checked(f"/{name}") == name


@pytest.mark.parametrize("name", ["", "/", "a", "/a", "_ab", ".ab", "-ab", "a b", "a/b", "//ab", "ab/", "ab\n", "äb"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        names.checked(name)
    assert refused.value.message == f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


def test_made_up_names_are_names_and_seldom_alike() -> None:
    made = [names.made_up() for _ in range(200)]
    assert all(names.checked(name) == name and name.count("_") == 1 for name in made)
    assert len(set(made)) > 150


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("15", 15),
        ("64", 64),
        ("TERM", 15),
        ("SIGTERM", 15),
        ("sigkill", 9),
        ("CLD", signal.SIGCHLD),
        ("SIGPOLL", signal.SIGIO),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("rtmax-14", 50),
        ("RTMAX", 64),
        ("RTMIN+30", 64),
    ],
)
def test_signals(text: str, number: int) -> None:
    assert signals.number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "65",
        "-1",
        "1.5",
        "NOPE",
        "SIG",
        "RTMIN-1",
        "RTMIN+31",
        "RTMAX+1",
        "RTMIN+",
        "RTMIN+x",
        "TERM+1",
        "SIGSIGTERM",
    ],
)
def test_signals_that_are_none(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        signals.number(text)
    assert refused.value.message == f"invalid signal: {text}"


def policy(name: str, tries: int = 0) -> RestartPolicy:
    return RestartPolicy(name=name, maximum_retry_count=tries)


@pytest.mark.parametrize(
    ("asked", "state", "now", "boot"),
    [
        (policy("no"), State(exit_code=1), False, False),
        (policy(""), State(exit_code=1), False, False),
        (policy("always"), State(exit_code=0), True, True),
        (policy("always"), State(stopped=True), False, True),
        (policy("unless-stopped"), State(exit_code=0), True, True),
        (policy("unless-stopped"), State(stopped=True), False, False),
        (policy("on-failure"), State(exit_code=0), False, False),
        (policy("on-failure"), State(exit_code=1, restart_count=99), True, True),
        (policy("on-failure", 2), State(exit_code=1, restart_count=1), True, True),
        (policy("on-failure", 2), State(exit_code=1, restart_count=2), False, False),
        (policy("on-failure"), State(exit_code=137, stopped=True), False, False),
    ],
)
def test_restart_policies(asked: RestartPolicy, state: State, now: bool, boot: bool) -> None:
    assert restarts.wanted(asked, state) is now and restarts.wanted_at_boot(asked, state) is boot


def test_waits_double_up_to_a_minute_and_begin_again() -> None:
    waits = [0.0]
    for _ in range(12):
        waits.append(restarts.delay(waits[-1], ran_for=1))
    assert waits[1:] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]
    assert restarts.delay(60, ran_for=9.9) == 60 and restarts.delay(60, ran_for=10) == 0.1


def resolv(host: str, *, loopback: bool = True, **given: list[str]) -> list[str]:
    wishes = etcfiles.Wishes(given.get("servers", []), given.get("search", []), given.get("options", []))
    text = etcfiles.resolv_conf(host, wishes, own_loopback=loopback, resolver=False)
    assert text.endswith("\n")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


HOST = (
    "# by hand\nnameserver\t1.1.1.1 # one\n nameserver 2::2\n;nameserver 9.9.9.9\nsearch a b\noptions ndots:2 edns0\n"
)


@pytest.mark.parametrize(
    ("lines", "made"),
    [
        (
            resolv(HOST),
            ["nameserver 1.1.1.1", "nameserver 2::2", "search a b", "options ndots:2 edns0"],
        ),
        (resolv("nameserver 127.0.0.53\nnameserver ::1\nnameserver 3.3.3.3"), ["nameserver 3.3.3.3"]),
        (resolv("nameserver 127.0.0.53"), ["nameserver 8.8.8.8", "nameserver 8.8.4.4"]),
        (resolv("nameserver 127.0.0.53", loopback=False), ["nameserver 127.0.0.53"]),
        (resolv("nameserver ::1234"), ["nameserver ::1234"]),
        (resolv(""), ["nameserver 8.8.8.8", "nameserver 8.8.4.4"]),
        (resolv("nameserver 1.1.1.1\ndomain x\nsearch y z"), ["nameserver 1.1.1.1", "search y z"]),
        (
            resolv(HOST, servers=["4.4.4.4"], search=["c"], options=["rotate"]),
            ["nameserver 4.4.4.4", "search c", "options rotate"],
        ),
        (resolv(HOST, servers=["127.0.0.1"], search=["."]), ["nameserver 127.0.0.1", "options ndots:2 edns0"]),
        (resolv("nameserver\n\n#\nnonsense here\nnameserver 5.5.5.5"), ["nameserver 5.5.5.5"]),
    ],
)
def test_resolvers(lines: list[str], made: list[str]) -> None:
    assert lines == made


def test_hosts() -> None:
    own = [("10.0.0.2", "web"), ("fd::2", "web")]
    made = etcfiles.hosts([("1.2.3.4", "db"), *own]).splitlines()
    assert made[0] == "127.0.0.1\tlocalhost" and made[-3:] == ["1.2.3.4\tdb", "10.0.0.2\tweb", "fd::2\tweb"]
    assert etcfiles.hosts(own, "1.1.1.1 x") == "1.1.1.1 x\n10.0.0.2\tweb\nfd::2\tweb\n"


def test_hosts_change_where_the_engine_wrote_them() -> None:
    text = etcfiles.hosts([("10.0.0.2", "web"), ("10.0.0.9", "db store")]) + "9.9.9.9 mine web\n"
    made = etcfiles.changed_hosts(text, [("10.1.0.2", "web"), ("10.0.0.9", "db store")], {"web", "db store"})
    assert made.splitlines()[-3:] == ["10.1.0.2\tweb", "10.0.0.9\tdb store", "9.9.9.9 mine web"]
    assert "10.0.0.2" not in made and etcfiles.changed_hosts(made, [], {"web", "db store"}).endswith("mine web\n")


def test_capability_names_are_the_kernel_s() -> None:
    assert privileges.ALL_CAPABILITIES == capabilities.NAMES
    assert set(privileges.DEFAULT_CAPABILITIES) < set(privileges.ALL_CAPABILITIES)


def test_top_shows_this_process() -> None:
    titles, rows = processes.table([os.getpid(), 2**22 + 1], "-o pid,ppid,comm,args=LINE")
    assert titles == ["PID", "PPID", "COMMAND", "LINE"]
    [row] = rows  # the other does not exist
    assert row[:2] == [str(os.getpid()), str(os.getppid())] and "python" in row[3]


@pytest.mark.parametrize(
    ("arguments", "titles"),
    [
        ("", "UID PID PPID C STIME TTY TIME CMD"),
        ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
        ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("-aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("-e", "PID TTY TIME CMD"),
        ("ax", "PID TTY STAT TIME COMMAND"),
        ("-l", "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD"),
        ("-e -o pid,comm=C -o ni", "PID C NI"),
        ("axo pid=P,nlwp", "P NLWP"),
        pytest.param(f"-p {os.getpid()},1 -opid", "PID", id="-p THIS,1 -opid"),
        ("-eo pid,user", "PID USER"),
    ],
)
def test_columns_of_top(arguments: str, titles: str) -> None:
    shown, [row] = processes.table([os.getpid()], arguments)
    assert shown == titles.split() and len(row) == len(shown)


@pytest.mark.parametrize("arguments", ["-x", "-o", "-o nope", "-o pid,nope"])
def test_columns_of_top_that_are_none(arguments: str) -> None:
    with pytest.raises(InvalidArgument, match="unknown ps"):
        processes.table([os.getpid()], arguments)


@pytest.mark.parametrize(
    ("option", "modules", "expected"),
    [
        ("apparmor=mine", {"apparmor"}, "mine"),
        ("apparmor:mine", {"apparmor"}, "mine"),
        ("apparmor=mine", {"selinux"}, ""),
        ("apparmor=unconfined", {"apparmor"}, ""),
        ("no-new-privileges", {"apparmor"}, ""),
    ],
)
def test_the_profile_of_apparmor(option: str, modules: set[str], expected: str) -> None:
    assert security.apparmor_profile(security.parse([option]), modules) == expected
