"""The device rules as a program: what it decides, by an interpreter of its few instructions, and on the kernel."""

import itertools
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.engine.bundle.privileges import DEFAULT_DEVICE_RULES, PRIVILEGED_DEVICE_RULES
from cove.kernel import bpf
from cove.oci.runtime import DeviceRule
from cove.runtime import device_filter

_BITS = {"m": 1, "r": 2, "w": 4}


def _decide(program: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """Run a program as the kernel does."""
    context = struct.pack(
        "<III", sum(_BITS[letter] for letter in access) << 16 | (1 if kind == "b" else 2), major, minor
    )
    registers = [0] * 11
    place = 0
    while True:
        operation, pair, offset, constant = struct.unpack_from("<BBhi", program, place * 8)
        target, source = pair & 15, pair >> 4
        place += 1
        match operation:
            case 0x61:
                assert source == 1
                (registers[target],) = struct.unpack_from("<I", context, offset)
            case 0xBF:
                registers[target] = registers[source]
            case 0xB7:
                registers[target] = constant
            case 0x57:
                registers[target] &= constant
            case 0x77:
                registers[target] >>= constant
            case 0x15 | 0x55:
                if (registers[target] == constant) == (operation == 0x15):
                    place += offset
            case 0x95:
                return bool(registers[0])
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")


def _expected(rules: list[DeviceRule], kind: str, major: int, minor: int, access: str) -> bool:
    """Each kind of access by the last rule about it."""
    return all(_last(rules, kind, major, minor, letter) for letter in access)


def _last(rules: list[DeviceRule], kind: str, major: int, minor: int, letter: str) -> bool:
    for rule in reversed(rules):
        if (
            rule.get("type", "a") in ("a", kind)
            and rule.get("major", -1) in (-1, major)
            and rule.get("minor", -1) in (-1, minor)
            and letter in rule.get("access", "rwm")
        ):
            return rule["allow"]
    return False


_ACCESSES = ["".join(letters) for size in (1, 2, 3) for letters in itertools.combinations("rwm", size)]
_RULES = st.lists(
    st.fixed_dictionaries(
        {"allow": st.booleans()},
        optional={
            "type": st.sampled_from("abc"),
            "major": st.sampled_from([-1, 1, 8]),
            "minor": st.sampled_from([-1, 0, 3]),
            "access": st.sampled_from(_ACCESSES),
        },
    ),
    max_size=6,
)


@given(_RULES)
def test_every_access_is_decided_by_the_last_rule_about_it(rules: list[DeviceRule]) -> None:
    program = device_filter.assemble(rules)
    for kind, major, minor, access in itertools.product("bc", (1, 8), (0, 3), _ACCESSES):
        assert _decide(program, kind, major, minor, access) == _expected(rules, kind, major, minor, access)


def test_the_default_rules() -> None:
    program = device_filter.assemble(list(DEFAULT_DEVICE_RULES))
    assert _decide(program, "c", 1, 3, "rw")  # null
    assert _decide(program, "c", 136, 7, "rw")  # a terminal
    assert _decide(program, "b", 8, 0, "m")
    assert not _decide(program, "b", 8, 0, "r")
    assert not _decide(program, "c", 1, 1, "r")  # mem
    assert not _decide(program, "c", 10, 200, "rw")  # net/tun


def test_who_may_do_all_needs_no_program() -> None:
    assert device_filter.allows_all(list(PRIVILEGED_DEVICE_RULES))
    assert not device_filter.allows_all(list(DEFAULT_DEVICE_RULES))
    assert not device_filter.allows_all([])
    assert not device_filter.allows_all([{"allow": True, "access": "rw"}])


@pytest.mark.parametrize(("rule", "word"), [({"type": "x"}, "type 'x'"), ({"access": "rx"}, "access 'rx'")])
def test_a_rule_that_cannot_be(rule: dict[str, str], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        device_filter.assemble([{"allow": True, **rule}])  # type: ignore[typeddict-item]


@pytest.mark.root
@pytest.mark.needs("cgroup2-mount")
@given(_RULES)
def test_the_kernel_takes_every_program(rules: list[DeviceRule]) -> None:
    os.close(bpf.load(bpf.CGROUP_DEVICE_PROGRAM, device_filter.assemble(rules)))


@pytest.mark.root
@pytest.mark.cgroup2
@pytest.mark.needs("cgroup2-mount")
def test_a_program_is_replaced_without_a_moment_of_none() -> None:
    directory = _mount_of_version2() / f"cove-test-filter-{os.getpid()}"
    directory.mkdir()
    try:
        assert not bpf.has_program(str(directory))
        for allow in (True, False, True):
            _replace(directory, [{"allow": allow, "type": "c", "major": 1, "minor": 3}])
            assert _can_read_null(directory) is allow
            assert len(_programs(directory)) == 1
        numbers = _programs(directory)
        _replace(directory, [])
        assert _programs(directory) != numbers
    finally:
        directory.rmdir()


def _replace(directory: Path, rules: list[DeviceRule]) -> None:
    program = bpf.load(bpf.CGROUP_DEVICE_PROGRAM, device_filter.assemble(rules))
    try:
        bpf.replace(str(directory), program)
    finally:
        os.close(program)


def _programs(directory: Path) -> list[int]:
    group = os.open(directory, os.O_RDONLY)
    try:
        return bpf.attached(group)
    finally:
        os.close(group)


def _can_read_null(directory: Path) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            (directory / "cgroup.procs").write_text("0")
            os.open("/dev/null", os.O_RDONLY)
        except PermissionError:
            os._exit(1)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _mount_of_version2() -> Path:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            return Path(line.split()[4])
    raise AssertionError("there is none")
