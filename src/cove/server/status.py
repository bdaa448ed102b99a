"""What a failure is for a client: the one table that turns its kind into an HTTP status code, and its words."""

import errno
import logging

from cove import errors

log = logging.getLogger(__name__)

_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO))
"""A disk that is full, read-only or broken is no mistake of ours, and the kernel's words say what to do."""

STATUS: dict[type[errors.CoveError], int] = {
    errors.NotModified: 304,
    errors.InvalidArgument: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Cancelled: 499,
    errors.Internal: 500,
    errors.NoSpace: 500,
    errors.Upstream: 500,
    errors.Unimplemented: 501,
    errors.Unavailable: 503,
}


def status_of(error: BaseException) -> int:
    """The status for an error; 500 for what is no kind of ours."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def message_of(error: Exception, request: str, number: int) -> str:
    """The one line that the client gets; what is neither a kind of ours nor the disk's fault goes to the log."""
    if isinstance(error, errors.CoveError):
        return error.message
    if isinstance(error, OSError) and error.errno in _DISK:
        log.warning("request %d: %s failed: %s", number, request, error)
        return f"the files of the engine: {error.strerror}"
    log.error("request %d: %s failed", number, request, exc_info=error)
    return f"internal error: {type(error).__name__} (request {number} in the log)"
