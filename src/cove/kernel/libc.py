"""The C library, and how a failed call becomes an OSError.

Functions are looked up when a module is imported: in the zygote, before any container is started.
"""

import os

from cove.lean import ctypes

libc = ctypes.CDLL(None, use_errno=True)

_syscall = libc.syscall
_syscall.restype = ctypes.c_long


def check(result: int, call: str, path: str | bytes | int | None = None) -> int:
    """``result``, or OSError with the call and what it was about when the result is negative."""
    if result >= 0:
        return result
    number = ctypes.get_errno()
    raise OSError(number, f"{call}: {os.strerror(number)}", path)


def system_call(call: str, number: int, *arguments: object, path: str | bytes | int | None = None) -> int:
    """A system call that the C library may not wrap. Integers are passed as longs, the rest as pointers."""
    converted = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    return check(_syscall(ctypes.c_long(number), *converted), call, path)


def address_of(content: bytes) -> int:
    """Where the bytes are, for as long as the caller keeps them."""
    return ctypes.c_void_p.from_buffer(ctypes.c_char_p(content)).value or 0
