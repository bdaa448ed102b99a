"""A machine for classic BPF as seccomp has it, written from the kernel's documentation, and libseccomp as a peer."""

import ctypes
import struct
import tempfile
from collections.abc import Sequence
from typing import Any

from cove.oci.runtime import Seccomp
from cove.seccomp.abi import native
from cove.seccomp.compiler import ACTIONS


class Machine:
    """Runs a program on one call. Raises AssertionError for what the kernel's checker would refuse."""

    def __init__(self, program: bytes) -> None:
        self._code = [struct.unpack_from("=HBBI", program, offset) for offset in range(0, len(program), 8)]
        assert 0 < len(self._code) <= 4096
        assert self._code[-1][0] == 0x06, "the last instruction must return"

    def run(self, token: int, number: int, arguments: Sequence[int] = (), *, big_endian: bool = False) -> int:
        order = ">" if big_endian else "<"
        padded = [*arguments, *(0 for _ in range(6 - len(arguments)))]
        data = struct.pack(f"{order}IIQ6Q", number & 0xFFFFFFFF, token, 0, *padded)
        position = accumulator = 0
        while True:
            code, when, otherwise, value = self._code[position]
            position += 1
            if code == 0x20:
                assert value % 4 == 0 and value < 64
                (accumulator,) = struct.unpack_from(f"{order}I", data, value)
            elif code == 0x54:
                accumulator &= value
            elif code == 0x05:
                position += value
            elif code == 0x06:
                return int(value)
            else:
                position += when if self._holds(code, accumulator, value) else otherwise

    @staticmethod
    def _holds(code: int, accumulator: int, value: int) -> bool:
        if code == 0x15:
            return accumulator == value
        if code == 0x25:
            return accumulator > value
        assert code == 0x35, f"unknown instruction {code:#x}"
        return accumulator >= value


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


_OPERATORS = {f"SCMP_CMP_{name}": number for number, name in enumerate("NE LT LE EQ GE GT MASKED_EQ".split(), 1)}


class Libseccomp:
    """Makes filters as runc has them made, without the part for new calls, which is runc's own."""

    def __init__(self) -> None:
        self._lib: Any = ctypes.CDLL("libseccomp.so.2")
        self._lib.seccomp_init.restype = ctypes.c_void_p
        self._lib.seccomp_arch_resolve_name.restype = ctypes.c_uint32

    def program(self, profile: Seccomp, machine: str) -> bytes:
        lib = self._lib
        context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(self._action(profile, "default"))))
        for name in profile.get("architectures") or []:
            if name != native(machine):
                word = name.removeprefix("SCMP_ARCH_").lower()
                assert lib.seccomp_arch_add(context, lib.seccomp_arch_resolve_name(word.encode())) == 0
        for call in profile.get("syscalls") or []:
            self._add(context, profile, dict(call))
        with tempfile.TemporaryFile() as file:
            assert lib.seccomp_export_bpf(context, file.fileno()) == 0
            file.seek(0)
            return file.read()

    def _add(self, context: Any, profile: Seccomp, call: dict[str, Any]) -> None:
        action = self._action(call, "")
        if action == self._action(profile, "default"):
            return
        comparisons = [
            _Comparison(item["index"], _OPERATORS[item["op"]], item["value"], item.get("valueTwo", 0))
            for item in call.get("args") or []
        ]
        indexes = {item.arg for item in comparisons}
        groups = [[item] for item in comparisons] if len(indexes) < len(comparisons) else [comparisons]
        for name in call["names"]:
            number = self._lib.seccomp_syscall_resolve_name(name.encode())
            if number == -1:
                continue
            for group in groups:
                array = (_Comparison * len(group))(*group)
                done = self._lib.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(group), array)
                assert done == 0, (name, done)

    @staticmethod
    def _action(given: Any, prefix: str) -> int:
        name = given["defaultAction" if prefix else "action"]
        number = given.get("defaultErrnoRet" if prefix else "errnoRet")
        action = ACTIONS[name]
        return action | (1 if number is None else number) if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else action
