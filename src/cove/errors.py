"""The kinds of failure that cross a package boundary.

An error says what kind it is; ``cove.server`` turns kinds into HTTP status codes in one table, and the
command line turns them into exit codes. The message is for the user: it names the object, field or flag.
"""


class CoveError(Exception):
    """The base of every failure that a user may be told about."""

    @property
    def message(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__


class NotFound(CoveError):
    """What was named does not exist."""


class Conflict(CoveError):
    """The request cannot be met in the object's present state, or a name is taken."""


class InvalidArgument(CoveError):
    """A field or flag has a value that cannot be used."""


class NotModified(CoveError):
    """The object is already in the state that was asked for."""


class Forbidden(CoveError):
    """The caller may not do this."""


class Unauthorized(CoveError):
    """The caller has not shown who they are."""


class Unimplemented(CoveError):
    """Known, and not supported by this engine or kernel."""


class Unavailable(CoveError):
    """A peer or resource that is needed is not there now."""


class Upstream(CoveError):
    """Another server, such as a registry, failed, or refused what was asked of it for the caller."""


class Cancelled(CoveError):
    """The caller went away before the work was done."""


class Internal(CoveError):
    """A failure of our own: a bug, or a machine that broke its promise."""


class NoSpace(Internal):
    """The disk is full."""
