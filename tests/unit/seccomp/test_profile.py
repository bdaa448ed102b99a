"""Profiles in Docker's format and in the runtime specification's, and our own."""

import json
from pathlib import Path
from typing import Any

import pytest

from cove.errors import InvalidArgument
from cove.oci.runtime import Seccomp
from cove.seccomp.abi import all_names
from cove.seccomp.cache import BUILTIN, Filters
from cove.seccomp.default import DEFAULT
from cove.seccomp.profile import Setting, decode, select

HERE = Setting("x86_64", "6.1.0-13-amd64", ("CAP_SYS_CHROOT",))


def chosen(profile: dict[str, Any], setting: Setting = HERE) -> Seccomp | None:
    return select(decode(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", **profile})), setting)


def names(profile: dict[str, Any], setting: Setting = HERE) -> list[str]:
    made = chosen(profile, setting)
    assert made is not None
    return [name for call in made.get("syscalls", []) for name in call["names"]]


def call(name: str, **rest: Any) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", **rest}


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({}, True),
        ({"includes": {"caps": ["CAP_SYS_CHROOT"]}}, True),
        ({"includes": {"caps": ["CAP_SYS_CHROOT", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, True),
        ({"includes": {"arches": ["amd64", "x32"]}}, True),
        ({"includes": {"arches": ["s390x"]}}, False),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"includes": {"minKernel": "4.8"}}, True),
        ({"includes": {"minKernel": "6.1"}}, True),
        ({"includes": {"minKernel": "6.2"}}, False),
        ({"excludes": {"minKernel": "6.1"}}, False),
        ({"excludes": {"minKernel": "6.10"}}, True),
        ({"includes": {"arches": ["amd64"], "caps": ["CAP_SYS_ADMIN"]}}, False),
        ({"includes": None, "excludes": {}}, True),
    ],
)
def test_conditions(conditions: dict[str, Any], holds: bool) -> None:
    assert names({"syscalls": [call("read", **conditions)]}) == (["read"] if holds else [])


def test_architectures_come_from_the_machines_row() -> None:
    rows = [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
    ]
    made = chosen({"archMap": rows})
    assert made is not None and made["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    arm = chosen({"archMap": rows}, HERE._replace(machine="aarch64"))
    assert arm is not None and arm["architectures"] == ["SCMP_ARCH_AARCH64"]


def test_everything_of_the_specification_is_kept() -> None:
    given: Seccomp = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "defaultErrnoRet": 5,
        "architectures": ["SCMP_ARCH_X86_64"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "listenerPath": "/run/seccomp.sock",
        "listenerMetadata": "words",
        "syscalls": [
            {
                "names": ["mkdir"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 13,
                "args": [{"index": 1, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}],
            }
        ],
    }
    assert select(decode(json.dumps(given)), HERE) == given


def test_the_oldest_form_has_one_name_for_each_call() -> None:
    assert names({"syscalls": [{"name": "read", "action": "SCMP_ACT_ALLOW"}]}) == ["read"]


def test_a_profile_that_says_nothing_switches_seccomp_off() -> None:
    assert select(decode("{}"), HERE) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Decoding seccomp profile failed"),
        ("[]", "Decoding seccomp profile failed"),
        ('{"syscalls": [{"names": ["read"]}]}', r"Decoding seccomp profile failed.*action.*syscalls"),
        ("[" * 100_000, "Decoding seccomp profile failed"),
        (
            '{"architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}',
            "both 'architectures' and 'archMap' are specified",
        ),
        ('{"syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]}', "both 'name' and 'names' are"),
        (
            '{"syscalls": [{"names": ["b"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4"}}]}',
            'invalid kernel version: "4", expected "<kernel>.<major>"',
        ),
        (
            '{"syscalls": [{"names": ["b"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "0.0"}}]}',
            "version cannot be 0.0",
        ),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        decode(text)


def test_every_name_of_the_default_profile_is_a_system_call() -> None:
    named = [name for call in DEFAULT.syscalls or [] for name in call.names or []]
    assert set(named) <= all_names()
    plain = (DEFAULT.syscalls or [])[0].names or []
    assert len(plain) == len(set(plain)) == 361


def test_a_filter_is_compiled_once_and_kept_on_disk(tmp_path: Path) -> None:
    filters = Filters(tmp_path / "seccomp")
    assert not filters.known(BUILTIN, ())
    made, other = filters.get(BUILTIN, ()), filters.get(BUILTIN, ("CAP_SYS_ADMIN",))
    assert made is not None and other is not None and made.path != other.path
    assert filters.known(BUILTIN, ()) and filters.get(BUILTIN, ()) is made
    assert Path(made.path).read_bytes() == made.filter.program
    Path(made.path).write_bytes(b"half")
    again = Filters(tmp_path / "seccomp").get(BUILTIN, ())
    assert again == made
    assert Path(made.path).read_bytes() == made.filter.program
    assert len(list((tmp_path / "seccomp").iterdir())) == 2
    assert filters.get("{}", ()) is None
