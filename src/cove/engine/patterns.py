"""Regular expressions from clients, in Go's syntax, in time that grows with the text and never faster.

Python's own would let one request keep the daemon busy for ever. The library is imported when a pattern is used.
"""

from typing import Protocol

from cove.errors import InvalidArgument


class Pattern(Protocol):
    def search(self, text: bytes) -> object:
        """Something true where the pattern is found."""


def compile_pattern(text: str, *, ignore_case: bool = False) -> Pattern:
    """Raises InvalidArgument in the words of Go's package."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        made: Pattern = re2.compile(text.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else b"invalid"
        shown = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidArgument(f"error parsing regexp: {_words(shown)}") from error
    return made


def _words(reason: str) -> str:
    """The library says ``missing ): (`` where Go says ``missing closing ): `(` ``."""
    what, found, where = reason.replace("missing )", "missing closing )").rpartition(": ")
    return f"{what}: `{where}`" if found else where
