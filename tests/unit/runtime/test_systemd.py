"""The systemd control group driver's side of D-Bus: bytes, conversations, properties, names."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.oci.runtime import Resources
from cove.runtime import scope_names, systemd, unit_properties
from cove.runtime.dbus import connection
from cove.runtime.dbus.connection import Connection, Refused, Target
from cove.runtime.dbus.marshalling import Reader, Variant, marshal, split
from cove.runtime.systemd import Systemd
from harness.systemd_bus import SystemdBus

HELLO = (
    b"l\x01\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00m\x00\x00\x00"
    b"\x01\x01o\x00\x15\x00\x00\x00/org/freedesktop/DBus\x00\x00\x00"
    b"\x02\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00"
    b"\x03\x01s\x00\x05\x00\x00\x00Hello\x00\x00\x00"
    b"\x06\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00"
)
BUS_ITSELF = Target("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


def test_a_call_is_what_every_client_of_a_bus_sends_first() -> None:
    assert connection._encode(1, BUS_ITSELF, "Hello", "", ()) == HELLO


@pytest.mark.parametrize(
    ("signature", "values", "known"),
    [
        ("yu", [1, 2], b"\x01\0\0\0\x02\0\0\0"),
        ("bt", [True, 3], b"\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0"),
        ("s", ["abc"], b"\x03\0\0\0abc\0"),
        ("g", ["a(sv)"], b"\x05a(sv)\0"),
        ("ay", [b"\x01\x02"], b"\x02\0\0\0\x01\x02"),
        ("au", [[7, 8]], b"\x08\0\0\0\x07\0\0\0\x08\0\0\0"),
        ("at", [[]], b"\0\0\0\0\0\0\0\0"),
        ("v", [Variant("b", True)], b"\x01b\0\0\x01\0\0\0"),
        ("a(sv)", [[("A", Variant("t", 5))]], b"\x18\0\0\0\0\0\0\0\x01\0\0\0A\0\x01t\0\0\0\0\0\0\0\0\x05" + bytes(7)),
        ("a(ss)", [[("a", "b")]], b"\x0e\0\0\0\0\0\0\0\x01\0\0\0a\0\0\0\x01\0\0\0b\0"),
    ],
)
def test_values_have_their_bytes(signature: str, values: list[Any], known: bytes) -> None:
    assert marshal(signature, values) == known
    read = Reader(known).read(signature)
    assert marshal(signature, values if "v" in signature else read) == known


def test_a_message_of_the_other_byte_order_is_read() -> None:
    assert Reader(b"\0\0\0\x02\0\0\0\x01x\0", big_endian=True).read("us") == [2, "x"]


@given(st.binary(max_size=80), st.sampled_from(["uoss", "a(yv)", "v", "a{sv}", "ssa(sv)a(sa(sv))", "ay", "g"]))
def test_a_strangers_bytes_are_values_or_an_error(data: bytes, signature: str) -> None:
    with contextlib.suppress(ValueError):
        Reader(data).read(signature)


@pytest.mark.parametrize("signature", ["(", "a", "(s", "z", "a{", ")", "a" * 200])
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    with pytest.raises(ValueError, match="not a signature"):
        split(signature)


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SystemdBus]:
    monkeypatch.setattr(systemd, "BUS", str(tmp_path / "bus"))
    monkeypatch.setattr(systemd, "OWN_SOCKET", str(tmp_path / "none"))
    monkeypatch.setattr(systemd, "BOOTED", str(tmp_path))
    served = SystemdBus(tmp_path / "bus", cgroups=False)
    yield served
    served.close()
    assert served.faults == []


def test_a_unit_from_its_start_to_its_end(bus: SystemdBus) -> None:
    with Systemd(5) as manager:
        manager.start("cove-a.scope", unit_properties.beginning("x.slice", "cove-a.scope", 4242))
        assert bus.units["cove-a.scope"].properties == {
            "Description": "cove container cove-a",
            "Slice": "x.slice",
            "PIDs": [4242],
            "Delegate": True,
            "DefaultDependencies": False,
        }
        manager.change("cove-a.scope", [("TasksMax", Variant("t", 9))])
        assert bus.units["cove-a.scope"].properties["TasksMax"] == 9
        manager.stop("cove-a.scope")
    assert bus.units == {}
    assert [name for name, _ in bus.calls] == [
        *("Hello", "AddMatch", "StartTransientUnit", "SetUnitProperties", "StopUnit", "ResetFailedUnit")
    ]


def test_a_unit_that_failed_before_makes_room(bus: SystemdBus) -> None:
    bus.lingers = True
    with Systemd(5) as manager:
        for pid in (1, 2):
            manager.start("cove-a.scope", unit_properties.beginning("x.slice", "cove-a.scope", pid))
    assert bus.units["cove-a.scope"].properties["PIDs"] == [2]


def test_a_unit_that_is_not_there_is_stopped_already(bus: SystemdBus) -> None:
    with Systemd(5) as manager:
        manager.stop("cove-none.scope")


def test_a_job_that_fails_is_an_error(bus: SystemdBus) -> None:
    bus.result = "failed"
    with Systemd(5) as manager, pytest.raises(Refused, match="the job ended as 'failed'"):
        manager.start("cove-a.scope", unit_properties.beginning("x.slice", "cove-a.scope", 1))


def test_a_property_that_systemd_refuses_is_told(bus: SystemdBus) -> None:
    with Systemd(5) as manager, pytest.raises(Refused, match="Cannot set property Nonsense"):
        manager.start("cove-a.scope", [("Nonsense", Variant("s", ""))])


def test_nobody_waits_longer_than_the_deadline(bus: SystemdBus) -> None:
    bus.silent = True
    with pytest.raises(OSError, match="no answer in time"):
        Systemd(0.05)


def test_without_systemd_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(systemd, "BOOTED", str(tmp_path / "none"))
    with pytest.raises(OSError, match="systemd does not run here"):
        Systemd(1)


@pytest.mark.parametrize("answer", [b"REJECTED EXTERNAL\r\n", b"", b"OK 1\r\nnonsense", b"OK 1\r\nl" + b"\xff" * 40])
def test_a_peer_that_is_no_bus_is_an_error(tmp_path: Path, answer: bytes) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "peer"))
    listener.listen()

    def serve() -> None:
        accepted, _ = listener.accept()
        with accepted:
            accepted.sendall(answer)
            accepted.shutdown(socket.SHUT_WR)
            while accepted.recv(4096):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    with listener, pytest.raises((OSError, ValueError)):
        Connection(str(tmp_path / "peer"), 5, is_bus=True)
    thread.join()


FULL: Resources = {
    "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20},
    "cpu": {"shares": 1024, "quota": 15_000, "period": 100_000, "cpus": "0,2-3", "mems": "0"},
    "pids": {"limit": 77},
}


def test_the_limits_as_properties_of_version_2() -> None:
    found = {name: value.value for name, value in unit_properties.limits(FULL, unified=True)}
    assert found == {
        "MemoryMax": 64 << 20,
        "MemoryLow": 32 << 20,
        "MemorySwapMax": 32 << 20,
        "CPUWeight": 100,
        "CPUQuotaPeriodUSec": 100_000,
        "CPUQuotaPerSecUSec": 150_000,
        "AllowedCPUs": b"\x0d",
        "AllowedMemoryNodes": b"\x01",
        "TasksMax": 77,
    }


def test_the_limits_as_properties_of_version_1() -> None:
    found = {name: value.value for name, value in unit_properties.limits(FULL, unified=False)}
    assert found == {
        "MemoryLimit": 64 << 20,
        "CPUShares": 1024,
        "CPUQuotaPeriodUSec": 100_000,
        "CPUQuotaPerSecUSec": 150_000,
        "TasksMax": 77,
    }


def test_no_limit_is_infinity_and_a_quota_is_in_whole_percents() -> None:
    given_: Resources = {"memory": {"limit": -1}, "pids": {"limit": -1}, "cpu": {"quota": 12_345}}
    found = {name: value.value for name, value in unit_properties.limits(given_, unified=True)}
    assert found == {
        "MemoryMax": (1 << 64) - 1,
        "MemorySwapMax": (1 << 64) - 1,
        "TasksMax": (1 << 64) - 1,
        "CPUQuotaPerSecUSec": 130_000,
    }


def test_devices_as_the_policy_that_a_reload_puts_back() -> None:
    rules: list[Any] = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": True, "type": "b", "major": 7, "minor": 0, "access": "rw"},
        {"allow": False, "type": "b", "major": 7, "minor": 0, "access": "w"},
        {"allow": True, "type": "c", "major": 136, "access": "rwm"},
    ]
    policy, allow = unit_properties.devices(rules)
    assert policy == ("DevicePolicy", Variant("s", "strict"))
    names = dict(allow[1].value)
    assert names["char-*"] == "m" and names["/dev/char/1:3"] == "rwm" and names["/dev/block/7:0"] == "r"
    assert names.get("char-pts", "rwm") == "rwm"  # the kernel's name of the driver, where /proc/devices shows it
    assert unit_properties.devices([{"allow": True, "access": "rwm"}]) == [("DevicePolicy", Variant("s", "auto"))]


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("system.slice:cove:abc", "/system.slice/cove-abc.scope"),
        (":cove:abc", "/system.slice/cove-abc.scope"),
        ("-.slice:cove:abc", "/cove-abc.scope"),
        ("a-b-c.slice:p:x", "/a.slice/a-b.slice/a-b-c.slice/p-x.scope"),
        ("user.slice::x", "/user.slice/x.scope"),
    ],
)
def test_where_a_unit_is(path: str, group: str) -> None:
    assert scope_names.control_group(path) == group


@pytest.mark.parametrize("path", ["a:b", "a.slice:b:", "a:b:c", "../x.slice:b:c", "a--b.slice:c:d", "a.slice:../b:c"])
def test_a_path_that_names_no_unit_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"slice|unit"):
        scope_names.control_group(path)


@pytest.mark.parametrize(("ranges", "mask"), [("0", b"\x01"), ("0-8", b"\xff\x01"), ("15", b"\0\x80"), ("", b"")])
def test_a_set_of_cpus_is_a_mask(ranges: str, mask: bytes) -> None:
    assert unit_properties.bits(ranges) == mask


@pytest.mark.parametrize(("signature", "value"), [("u", -1), ("y", 256), ("s", "a\0b"), ("t", 1 << 64)])
def test_a_value_that_has_no_bytes_is_refused(signature: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"is not of the type|zero byte"):
        marshal(signature, [value])
