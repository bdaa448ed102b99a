"""Compiled filters, run on a BPF machine: against what the profile says, and against libseccomp's."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cove.errors import InvalidArgument
from cove.oci.runtime import Seccomp, SeccompArgument, SeccompCall
from cove.seccomp.abi import ABIS, NATIVE, numbers
from cove.seccomp.compiler import ACTIONS, compile_filter
from cove.seccomp.default import DEFAULT
from cove.seccomp.profile import Setting, select
from harness.bpf import Libseccomp, Machine

X86_64, X86, X32 = (ABIS[f"SCMP_ARCH_{name}"] for name in ("X86_64", "X86", "X32"))
ALLOW = ACTIONS["SCMP_ACT_ALLOW"]
EPERM, ENOSYS = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
WORDS = [0, 1, 2, 38, 40, 0x20008, 0x7E020000, 0x10000000, 0xFFFFFFFF, 1 << 32, (1 << 32) | 38, (1 << 64) - 1]


def machine(profile: Seccomp, uname: str = "x86_64") -> Machine:
    return Machine(compile_filter(profile, uname).program)


def allowing(*calls: SeccompCall, default: str = "SCMP_ACT_ERRNO") -> Seccomp:
    return {"defaultAction": default, "syscalls": list(calls)}


def test_named_calls_are_allowed_others_refused_and_new_ones_unknown() -> None:
    filter_ = machine(allowing({"names": ["read", "futex_waitv", "no_such_call"], "action": "SCMP_ACT_ALLOW"}))
    assert filter_.run(X86_64.token, 0) == ALLOW
    assert filter_.run(X86_64.token, 1) == EPERM
    assert filter_.run(X86_64.token, 449) == ALLOW
    assert filter_.run(X86_64.token, 450) == ENOSYS
    assert filter_.run(X86_64.token, 0xFFFFFFFF) == EPERM, "a call that a tracer skips"


def test_another_interface_is_fatal_unless_it_is_named() -> None:
    call: SeccompCall = {"names": ["read"], "action": "SCMP_ACT_ALLOW"}
    alone = machine(allowing(call))
    assert alone.run(X86.token, 3) == alone.run(X32.token, 0x40000000) == ACTIONS["SCMP_ACT_KILL"]
    profile = allowing(call)
    profile["architectures"] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    every = machine(profile)
    assert every.run(X86_64.token, 0) == every.run(X86.token, 3) == every.run(X32.token, 0x40000000) == ALLOW
    assert every.run(X86.token, 0) == EPERM


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("operator", "NE LT LE EQ GE GT MASKED_EQ".split())
def test_comparisons(operator: str, wide: bool) -> None:
    value = (5 << 32 | 7) if wide else 7
    argument: SeccompArgument = {"index": 2, "value": value, "op": f"SCMP_CMP_{operator}", "valueTwo": 3}
    filter_ = machine(allowing({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [argument]}))
    meanings = {
        "NE": lambda given: given != value,
        "LT": lambda given: given < value,
        "LE": lambda given: given <= value,
        "EQ": lambda given: given == value,
        "GE": lambda given: given >= value,
        "GT": lambda given: given > value,
        "MASKED_EQ": lambda given: given & value == 3,
    }
    near = [value + upper * (1 << 32) + lower for upper in (-1, 0, 1) for lower in (-1, 0, 1)]
    for word in [word for word in [*WORDS, *near, 3, 0x13] if 0 <= word < 1 << 64]:
        assert (filter_.run(X86_64.token, 0, [9, 9, word]) == ALLOW) == meanings[operator](word), hex(word)


def test_conditions_on_two_arguments_must_both_hold_and_on_one_are_alternatives() -> None:
    def condition(index: int, value: int) -> SeccompArgument:
        return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}

    both = machine(
        allowing({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [condition(0, 1), condition(1, 2)]})
    )
    assert [both.run(X86_64.token, 0, words) for words in ([1, 2], [1, 3], [3, 2])] == [ALLOW, EPERM, EPERM]
    either = machine(
        allowing({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [condition(0, 1), condition(0, 2)]})
    )
    assert [either.run(X86_64.token, 0, [word]) for word in (1, 2, 3)] == [ALLOW, ALLOW, EPERM]


def test_a_rule_without_conditions_wins() -> None:
    narrow: SeccompCall = {
        "names": ["socket"],
        "action": "SCMP_ACT_ERRNO",
        "errnoRet": 13,
        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}],
    }
    filter_ = machine(allowing(narrow, {"names": ["socket"], "action": "SCMP_ACT_ALLOW"}))
    assert filter_.run(X86_64.token, 41, [1]) == ALLOW


def test_calls_that_go_by_way_of_socketcall() -> None:
    profile = allowing({"names": ["connect"], "action": "SCMP_ACT_ALLOW"})
    profile["architectures"] = ["SCMP_ARCH_X86"]
    filter_ = machine(profile)
    assert filter_.run(X86.token, 362) == ALLOW
    assert [filter_.run(X86.token, 102, [kind]) for kind in (1, 3)] == [EPERM, ALLOW]


@pytest.mark.parametrize(
    ("action", "errno_return", "expected"),
    [
        ("SCMP_ACT_KILL", None, 0),
        ("SCMP_ACT_KILL_THREAD", None, 0),
        ("SCMP_ACT_KILL_PROCESS", None, 0x80000000),
        ("SCMP_ACT_TRAP", None, 0x30000),
        ("SCMP_ACT_ERRNO", None, EPERM),
        ("SCMP_ACT_ERRNO", 99, 0x50000 | 99),
        ("SCMP_ACT_TRACE", 7, 0x7FF00007),
        ("SCMP_ACT_LOG", None, 0x7FFC0000),
        ("SCMP_ACT_ALLOW", None, 0x7FFF0000),
    ],
)
def test_actions(action: str, errno_return: int | None, expected: int) -> None:
    call: SeccompCall = {"names": ["read"], "action": action}
    if errno_return is not None:
        call["errnoRet"] = errno_return
    filter_ = machine({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 22, "syscalls": [call]})
    assert filter_.run(X86_64.token, 0) == expected
    permissive = machine({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [call]})
    assert permissive.run(X86_64.token, 0) == expected
    assert permissive.run(X86_64.token, 100_000) == ALLOW


def test_a_listener_and_flags() -> None:
    profile = allowing({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}, default="SCMP_ACT_ALLOW")
    with pytest.raises(InvalidArgument, match="listenerPath is not set"):
        compile_filter(profile, "x86_64")
    profile |= {"listenerPath": "/run/listener", "listenerMetadata": "words"}
    made = compile_filter(profile, "x86_64")
    assert (made.flags, made.listener, made.metadata) == (8 | 4, "/run/listener", "words")
    profile["flags"] = [
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ]
    assert compile_filter(profile, "x86_64").flags == 1 | 2 | 8 | 16 | 32
    assert compile_filter({"defaultAction": "SCMP_ACT_ALLOW", "flags": []}, "x86_64").flags == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"defaultAction": "SCMP_ACT_NONE"}, "string SCMP_ACT_NONE is not a valid action for seccomp"),
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "SCMP_ACT_NOTIFY cannot be used as default action"),
        ({"architectures": ["SCMP_ARCH_Z80"]}, "string SCMP_ARCH_Z80 is not a valid arch for seccomp"),
        ({"flags": ["FAST"]}, "unknown flag FAST"),
        ({"syscalls": [{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]}, "cannot be used for the write syscall"),
        ({"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}]}, "errnoRet cannot be used"),
        (
            {"syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "value": 0, "op": "X"}]}]},
            "string X is not a valid operator",
        ),
        (
            {
                "syscalls": [
                    {
                        "names": ["a"],
                        "action": "SCMP_ACT_ALLOW",
                        "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}],
                    }
                ]
            },
            "invalid argument index 6",
        ),
    ],
)
def test_what_is_refused(changes: Seccomp, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        compile_filter({"defaultAction": "SCMP_ACT_ERRNO", **changes}, "x86_64")


def test_a_profile_that_the_kernel_would_not_take() -> None:
    def rule(name: str, value: int) -> SeccompCall:
        return {
            "names": [name],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}],
        }

    with pytest.raises(InvalidArgument, match="too many rules"):
        compile_filter(allowing(*(rule("read", value) for value in range(4100))), "x86_64")
    long = machine(allowing(*(rule("read", value) for value in range(700))))
    assert [long.run(X86_64.token, 0, [value]) for value in (0, 699, 700)] == [ALLOW, ALLOW, EPERM]


@pytest.mark.parametrize("uname", NATIVE)
def test_the_default_profile_fits_every_machine(uname: str) -> None:
    profile = select(DEFAULT, Setting(uname, "6.18.1", ()))
    assert profile is not None
    native = ABIS[NATIVE[uname]]
    filter_ = machine(profile, uname)
    known = numbers(native)
    assert filter_.run(native.token, known["openat"], big_endian=native.big_endian) == ALLOW
    assert filter_.run(native.token, known["keyctl"], big_endian=native.big_endian) == EPERM
    assert filter_.run(native.token, known["clone3"], big_endian=native.big_endian) == ENOSYS
    flags = [0x10000000, 0] if uname != "s390x" else [0, 0x10000000]
    assert filter_.run(native.token, known["clone"], flags, big_endian=native.big_endian) == EPERM
    assert filter_.run(native.token, known["clone"], [0, 0], big_endian=native.big_endian) == ALLOW


def test_the_default_filter_is_short() -> None:
    """Its length is what loading it costs: docs/performance.md."""
    selected = select(DEFAULT, Setting("x86_64", "6.18.1", ()))
    assert selected is not None and len(compile_filter(selected, "x86_64").program) // 8 < 500


@pytest.mark.needs("libseccomp")
@pytest.mark.parametrize("capabilities", [(), ("CAP_SYS_ADMIN", "CAP_SYS_CHROOT")])
def test_the_default_profile_is_libseccomps(capabilities: tuple[str, ...]) -> None:
    profile = select(DEFAULT, Setting("x86_64", "6.18.1", capabilities))
    assert profile is not None
    ours, theirs = machine(profile), Machine(Libseccomp().program(profile, "x86_64"))
    for abi in (X86_64, X86, X32):
        known = numbers(abi)
        for number in sorted({*known.values(), abi.first + 300, 0xFFFFFFFF}):
            if number - abi.first > 450 or number in _NEWER:
                continue  # newer than Debian's libseccomp
            for first in WORDS:
                assert ours.run(abi.token, number, [first]) == theirs.run(abi.token, number, [first]), (
                    abi,
                    number,
                    first,
                )


_NEWER = {335, 336}  # uretprobe, uprobe


_NAMES = ["read", "write", "clone", "ioctl", "getpid", "openat", "futex_waitv", "nonesuch"]
_ARGUMENT = st.fixed_dictionaries(
    {
        "index": st.integers(0, 5),
        "value": st.sampled_from(WORDS),
        "valueTwo": st.sampled_from(WORDS),
        "op": st.sampled_from([f"SCMP_CMP_{name}" for name in "NE LT LE EQ GE GT MASKED_EQ".split()]),
    }
)
_CALL = st.fixed_dictionaries(
    {
        "names": st.lists(st.sampled_from(_NAMES), min_size=1, max_size=2),
        "action": st.just("SCMP_ACT_ALLOW"),
        "args": st.lists(_ARGUMENT, max_size=2, unique_by=lambda item: item["index"]),
    }
)


def holds(argument: SeccompArgument, words: tuple[int, ...]) -> bool:
    word, value, second = words[argument["index"]], argument["value"], argument.get("valueTwo", 0)
    return {
        "SCMP_CMP_NE": word != value,
        "SCMP_CMP_LT": word < value,
        "SCMP_CMP_LE": word <= value,
        "SCMP_CMP_EQ": word == value,
        "SCMP_CMP_GE": word >= value,
        "SCMP_CMP_GT": word > value,
        "SCMP_CMP_MASKED_EQ": word & value == second & value,
    }[argument["op"]]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(_CALL, min_size=1, max_size=5),
    st.lists(st.tuples(*(st.sampled_from(WORDS) for _ in range(6))), min_size=1, max_size=20),
)
def test_any_rules_mean_what_they_say(calls: list[SeccompCall], words: list[tuple[int, ...]]) -> None:
    filter_ = machine({"defaultAction": "SCMP_ACT_TRAP", "syscalls": calls})
    for name in {name for call in calls for name in call["names"]} - {"nonesuch"}:
        rules = [call.get("args", []) for call in calls if name in call["names"]]
        for each in words:
            expected = any(all(holds(argument, each) for argument in rule) for rule in rules)
            assert (filter_.run(X86_64.token, numbers(X86_64)[name], each) == ALLOW) == expected


@pytest.mark.needs("libseccomp")
@settings(max_examples=100, deadline=None)
@given(
    st.lists(_CALL, min_size=1, max_size=5, unique_by=lambda call: call["names"][0]),
    st.lists(st.tuples(*(st.sampled_from(WORDS) for _ in range(6))), min_size=1, max_size=20),
)
def test_any_rule_means_what_libseccomp_makes_of_it(calls: list[SeccompCall], words: list[tuple[int, ...]]) -> None:
    """One for each call: libseccomp 2.5 mixes up several of them (NE with others on the same argument)."""
    calls = [{**call, "names": call["names"][:1]} for call in calls]
    profile: Seccomp = {"defaultAction": "SCMP_ACT_TRAP", "syscalls": calls, "architectures": ["SCMP_ARCH_X86"]}
    ours, theirs = machine(profile), Machine(Libseccomp().program(profile, "x86_64"))
    named = [numbers(X86_64).get(name) for call in calls for name in call["names"]]
    newest = max((number for number in named if number is not None), default=1 << 31)
    for abi in (X86_64, X86):
        for name in _NAMES[:-1]:
            number = numbers(abi)[name]
            if number <= newest:
                for arguments in words:
                    expected = theirs.run(abi.token, number, arguments)
                    assert ours.run(abi.token, number, arguments) in (expected, ENOSYS)
