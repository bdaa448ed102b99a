"""Programs of the kernel's own machine (bpf(2)): assembled, loaded, and attached to a version 2 control group.

An instruction is 8 bytes: operation, two registers of 4 bits, a 16-bit jump offset, a 32-bit constant
(Documentation/bpf/standardization/instruction-set.rst). Register 0 is the result, 1 at first the context, 2 to 5 free.
"""

import errno
import os
import struct

from cove.kernel.libc import address_of, system_call
from cove.lean import ctypes

_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280}.get(os.uname().machine, 280)
_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16

CGROUP_DEVICE_PROGRAM = 15
CGROUP_DEVICE = 6
"""The place of attachment: what is asked before a device is opened or made."""

_ALLOW_MULTI = 2
_REPLACE = 4
_MOST_ATTACHED = 64  # what the kernel allows

_MOVE, _AND, _SHIFT_RIGHT = 0xB7, 0x57, 0x77  # 64 bits, with a constant
_MOVE_REGISTER = 0xBF
_LOAD_WORD = 0x61
_JUMP_EQUAL, _JUMP_NOT_EQUAL = 0x15, 0x55
_EXIT = 0x95


def _instruction(operation: int, target: int, source: int = 0, offset: int = 0, constant: int = 0) -> bytes:
    return struct.pack("<BBhi", operation, target | source << 4, offset, constant)


def load_word(target: int, source: int, offset: int) -> bytes:
    """target = the 32-bit word at source + offset."""
    return _instruction(_LOAD_WORD, target, source, offset)


def move(target: int, constant: int) -> bytes:
    """target = constant."""
    return _instruction(_MOVE, target, constant=constant)


def copy(target: int, source: int) -> bytes:
    """target = source."""
    return _instruction(_MOVE_REGISTER, target, source)


def mask(target: int, constant: int) -> bytes:
    """target &= constant."""
    return _instruction(_AND, target, constant=constant)


def shift_right(target: int, bits: int) -> bytes:
    """target >>= bits."""
    return _instruction(_SHIFT_RIGHT, target, constant=bits)


def jump_if(target: int, constant: int, over: int) -> bytes:
    """Skip ``over`` instructions when target == constant."""
    return _instruction(_JUMP_EQUAL, target, offset=over, constant=constant)


def jump_unless(target: int, constant: int, over: int) -> bytes:
    """Skip ``over`` instructions when target != constant."""
    return _instruction(_JUMP_NOT_EQUAL, target, offset=over, constant=constant)


def result(value: int) -> bytes:
    """End with this result."""
    return move(0, value) + _instruction(_EXIT, 0)


def load(kind: int, program: bytes) -> int:
    """Check and load a program; a descriptor of it. Raises OSError when the kernel refuses it."""
    license_ = b"Apache-2.0"
    attributes = struct.pack("<IIQQ", kind, len(program) // 8, address_of(program), address_of(license_))
    return _call("bpf BPF_PROG_LOAD", _PROG_LOAD, attributes + bytes(24))  # no log, no version, no flags


def replace(directory: str, program: int) -> None:
    """Make a program the only one that decides about devices in a control group, without a moment when none does.

    Raises OSError.
    """
    group = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        former = [_descriptor(number) for number in attached(group)]
        try:
            _attach(group, program, former[0] if len(former) == 1 else None)
            for other in former if len(former) > 1 else ():
                _call("bpf BPF_PROG_DETACH", _PROG_DETACH, struct.pack("<III", group, other, CGROUP_DEVICE))
        finally:
            for other in former:
                os.close(other)
    finally:
        os.close(group)


def has_program(directory: str) -> bool:
    """Whether a program decides about devices in a control group. Raises OSError."""
    group = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return bool(attached(group))
    finally:
        os.close(group)


def attached(group: int) -> list[int]:
    """The numbers of the programs that decide about devices in a control group (a descriptor of its directory)."""
    numbers = (ctypes.c_uint * _MOST_ATTACHED)()
    attributes = ctypes.create_string_buffer(
        struct.pack("<IIIIQI", group, CGROUP_DEVICE, 0, 0, ctypes.addressof(numbers), _MOST_ATTACHED), 64
    )
    system_call("bpf BPF_PROG_QUERY", _BPF, _PROG_QUERY, ctypes.byref(attributes), len(attributes))
    (count,) = struct.unpack_from("<I", attributes.raw, 24)
    return list(numbers[:count])


def _attach(group: int, program: int, former: int | None) -> None:
    flags = _ALLOW_MULTI | (0 if former is None else _REPLACE)
    attributes = struct.pack("<IIIII", group, program, CGROUP_DEVICE, flags, former or 0)
    try:
        _call("bpf BPF_PROG_ATTACH", _PROG_ATTACH, attributes)
    except OSError as error:
        if error.errno != errno.EINVAL or former is None:
            raise
        # Linux before 5.6 cannot replace: both decide for a moment, and the stricter one wins.
        _call(
            "bpf BPF_PROG_ATTACH", _PROG_ATTACH, struct.pack("<IIIII", group, program, CGROUP_DEVICE, _ALLOW_MULTI, 0)
        )
        _call("bpf BPF_PROG_DETACH", _PROG_DETACH, struct.pack("<III", group, former, CGROUP_DEVICE))


def _descriptor(number: int) -> int:
    return _call("bpf BPF_PROG_GET_FD_BY_ID", _PROG_GET_FD_BY_ID, struct.pack("<III", number, 0, 0))


def _call(name: str, command: int, attributes: bytes) -> int:
    """``attributes``: the kernel takes what is missing at its end for zero, and only reads them for these commands."""
    return system_call(name, _BPF, command, ctypes.c_char_p(attributes), len(attributes))
