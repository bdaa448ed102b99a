"""The one table that turns kinds of failure into HTTP status codes."""

from cove import errors

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
