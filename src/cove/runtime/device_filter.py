"""Which devices a container may open and make, on version 2: the rules of the configuration as a BPF program; pure.

Version 1 keeps a list of exceptions to a default; here the last rule about a device and a kind of access decides on it,
which is the same for every list that denies all before it allows some. An access of several kinds (open for reading and
writing) needs each of them.
"""

from cove.kernel import bpf
from cove.oci.runtime import DeviceRule

_KIND, _ACCESS, _MAJOR, _MINOR = 2, 3, 4, 5  # the registers; 1 is free once the context has been read
_KINDS = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_*
_ACCESSES = {"m": 1, "r": 2, "w": 4}  # BPF_DEVCG_ACC_*
_ALL = 7

_READ_CONTEXT = (
    bpf.load_word(_KIND, 1, 0),  # struct bpf_cgroup_dev_ctx: access << 16 | kind, major, minor
    bpf.copy(_ACCESS, _KIND),
    bpf.mask(_KIND, 0xFFFF),
    bpf.shift_right(_ACCESS, 16),
    bpf.load_word(_MAJOR, 1, 4),
    bpf.load_word(_MINOR, 1, 8),
)


def assemble(rules: list[DeviceRule]) -> bytes:
    """The program for the rules, in their order; none allow nothing. Raises ValueError naming the field."""
    code = list(_READ_CONTEXT)
    for rule in reversed(rules):
        checks, verdict = _checks(rule), _verdict(rule)
        length = len(verdict)
        for number, check in enumerate(checks):
            register, value = check
            code.append(bpf.jump_unless(register, value, len(checks) - number - 1 + length))
        code += verdict
        if not checks and _access(rule) == _ALL:
            return b"".join(code)  # decides on all that gets here; the kernel refuses what cannot be reached
    return b"".join([*code, *_result(0)])


def allows_all(rules: list[DeviceRule]) -> bool:
    """Whether no program is needed."""
    return bool(rules) and rules[-1]["allow"] and not _checks(rules[-1]) and _access(rules[-1]) == _ALL


def _checks(rule: DeviceRule) -> list[tuple[int, int]]:
    """What must hold for the rule to be about a device: registers and their values."""
    kind = rule.get("type", "a") or "a"
    if kind not in ("a", "b", "c"):
        raise ValueError(f"linux.resources.devices: unknown type {kind!r}")
    made = [(_KIND, _KINDS[kind])] if kind != "a" else []
    for register, number in ((_MAJOR, rule.get("major", -1)), (_MINOR, rule.get("minor", -1))):
        if number >= 0:
            made.append((register, number))
    return made


def _verdict(rule: DeviceRule) -> list[bytes]:
    access = _access(rule)
    if access == _ALL:
        return _result(int(rule["allow"]))
    if rule["allow"]:  # what it allows is settled; the rest is for the rules before it
        return [bpf.mask(_ACCESS, _ALL & ~access), bpf.jump_unless(_ACCESS, 0, 2), *_result(1)]
    return [bpf.copy(1, _ACCESS), bpf.mask(1, access), bpf.jump_if(1, 0, 2), *_result(0)]


def _access(rule: DeviceRule) -> int:
    letters = rule.get("access", "rwm") or "rwm"
    if not set(letters) <= set(_ACCESSES):
        raise ValueError(f"linux.resources.devices: unknown access {letters!r}")
    return sum(_ACCESSES[letter] for letter in set(letters))


def _result(value: int) -> list[bytes]:
    code = bpf.result(value)
    return [code[:8], code[8:]]
