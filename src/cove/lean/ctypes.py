"""Foreign functions by the standard library's C code: half of what importing the whole of it takes is a call's start.

Only what ``cove.kernel`` uses.
"""

from cove.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from ctypes import *  # noqa: F403
    from ctypes import CDLL, get_errno
else:
    import _ctypes
    from _ctypes import addressof, byref, get_errno

    class c_char(_ctypes._SimpleCData):
        _type_ = "c"

    class c_int(_ctypes._SimpleCData):
        _type_ = "i"

    class c_uint(_ctypes._SimpleCData):
        _type_ = "I"

    class c_long(_ctypes._SimpleCData):
        _type_ = "l"

    class c_ulong(_ctypes._SimpleCData):
        _type_ = "L"

    c_size_t = c_ulong

    class c_char_p(_ctypes._SimpleCData):
        _type_ = "z"

    class c_void_p(_ctypes._SimpleCData):
        _type_ = "P"

    class _Function(_ctypes.CFuncPtr):
        """One that leaves errno for ``get_errno``."""

        _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
        _restype_ = c_int

    class CDLL:
        """A library, or (None) what the process has loaded; its functions are attributes or items."""

        def __init__(self, name, use_errno=True):
            self._name = name
            self._handle = _ctypes.dlopen(name, 0)

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            function = self[name]
            setattr(self, name, function)
            return function

        def __getitem__(self, name):
            return _Function((name, self))

    def create_string_buffer(given, size=None):
        """Bytes that a function may write to: of a size, or of given bytes and a zero, or of given bytes and a size."""
        if isinstance(given, int):
            return (c_char * given)()
        buffer = (c_char * (len(given) + 1 if size is None else size))()
        buffer.value = given
        return buffer


__all__ = [
    "CDLL",
    "addressof",
    "byref",
    "c_char",
    "c_char_p",
    "c_int",
    "c_long",
    "c_size_t",
    "c_uint",
    "c_ulong",
    "c_void_p",
    "create_string_buffer",
    "get_errno",
]
