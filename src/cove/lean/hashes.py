"""BLAKE2 by the standard library's own C code: ``hashlib`` would load OpenSSL for it."""

from cove.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import blake2b
else:
    from _blake2 import blake2b

__all__ = ["blake2b"]
