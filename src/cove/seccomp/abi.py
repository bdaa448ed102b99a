"""The application binary interfaces of Linux: how the kernel names each, and the numbers of its system calls."""

from functools import cache
from importlib import resources
from typing import NamedTuple

from cove.errors import InvalidArgument


class Abi(NamedTuple):
    """``token``: AUDIT_ARCH_* (linux/audit.h). ``column``: in syscalls.txt. ``bits``: of an argument.

    ``first``: the number that its calls begin at.
    """

    token: int
    column: str
    bits: int = 64
    big_endian: bool = False
    first: int = 0


X32_BIT = 0x40000000

ABIS = {
    "SCMP_ARCH_X86_64": Abi(0xC000003E, "x86_64"),
    "SCMP_ARCH_X86": Abi(0x40000003, "x86", 32),
    "SCMP_ARCH_X32": Abi(0xC000003E, "x32", 32, first=X32_BIT),
    "SCMP_ARCH_AARCH64": Abi(0xC00000B7, "aarch64"),
    "SCMP_ARCH_ARM": Abi(0x40000028, "arm", 32),
    "SCMP_ARCH_RISCV64": Abi(0xC00000F3, "riscv64"),
    "SCMP_ARCH_LOONGARCH64": Abi(0xC0000102, "loongarch64"),
    "SCMP_ARCH_S390X": Abi(0x80000016, "s390x", big_endian=True),
    "SCMP_ARCH_S390": Abi(0x16, "s390", 32, big_endian=True),
    "SCMP_ARCH_PPC64LE": Abi(0xC0000015, "ppc64"),
    "SCMP_ARCH_PPC64": Abi(0x80000015, "ppc64", big_endian=True),
    "SCMP_ARCH_PPC": Abi(0x14, "ppc", 32, big_endian=True),
    "SCMP_ARCH_MIPS": Abi(0x8, "mips", 32, big_endian=True, first=4000),
    "SCMP_ARCH_MIPSEL": Abi(0x40000008, "mips", 32, first=4000),
    "SCMP_ARCH_MIPS64": Abi(0x80000008, "mips64", big_endian=True, first=5000),
    "SCMP_ARCH_MIPSEL64": Abi(0xC0000008, "mips64", first=5000),
    "SCMP_ARCH_MIPS64N32": Abi(0xA0000008, "mips64n32", 32, big_endian=True, first=6000),
    "SCMP_ARCH_MIPSEL64N32": Abi(0xE0000008, "mips64n32", 32, first=6000),
}
"""By the runtime specification's names."""

NATIVE = {
    "x86_64": "SCMP_ARCH_X86_64",
    "i386": "SCMP_ARCH_X86",
    "i686": "SCMP_ARCH_X86",
    "aarch64": "SCMP_ARCH_AARCH64",
    "armv6l": "SCMP_ARCH_ARM",
    "armv7l": "SCMP_ARCH_ARM",
    "riscv64": "SCMP_ARCH_RISCV64",
    "loongarch64": "SCMP_ARCH_LOONGARCH64",
    "s390x": "SCMP_ARCH_S390X",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "ppc64": "SCMP_ARCH_PPC64",
}
"""What ``uname -m`` says, and the machine's own interface."""

DOCKER_NAMES = {
    "x86_64": "amd64",
    "i386": "x86",
    "i686": "x86",
    "aarch64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "loongarch64": "loongarch64",
}
"""What ``uname -m`` says, and the name in a profile's ``arches``, where it is another one."""

SOCKET_CALLS = {
    name: number
    for number, name in enumerate(
        "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown "
        "setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg".split(),
        1,
    )
}
"""The first argument of socketcall(2), by which older interfaces reach these (linux/net.h)."""

IPC_CALLS = {
    "semop": 1,
    "semget": 2,
    "semctl": 3,
    "semtimedop": 4,
    "msgsnd": 11,
    "msgrcv": 12,
    "msgget": 13,
    "msgctl": 14,
    "shmat": 21,
    "shmdt": 22,
    "shmget": 23,
    "shmctl": 24,
}
"""The first argument of ipc(2) (linux/ipc.h)."""


def native(machine: str) -> str:
    """The specification's name of a machine's own interface. Raises InvalidArgument for an unknown machine."""
    if machine not in NATIVE:
        raise InvalidArgument(f"seccomp is not supported on {machine}")
    return NATIVE[machine]


@cache
def _table() -> dict[str, dict[str, int]]:
    """Numbers by column and name."""
    lines = resources.files(__package__).joinpath("syscalls.txt").read_text().splitlines()[1:]
    columns = lines[0].split()[1:]
    table: dict[str, dict[str, int]] = {column: {} for column in columns}
    for line in lines[1:]:
        name, *numbers = line.split()
        for column, number in zip(columns, numbers, strict=True):
            if number != "-":
                table[column][name] = int(number)
    return table


def numbers(abi: Abi) -> dict[str, int]:
    """The system calls of an interface, by name."""
    return _table()[abi.column]


def all_names() -> frozenset[str]:
    """Every system call of any interface."""
    return frozenset(name for column in _table().values() for name in column)
