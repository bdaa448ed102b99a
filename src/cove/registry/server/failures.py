"""The one table of a registry's errors: code, words, status (distribution-spec 1.1, "Error Codes", and a few more)."""

from typing import Any, NamedTuple


class Code(NamedTuple):
    """``name`` is what clients look at."""

    name: str
    message: str
    status: int


BLOB_UNKNOWN = Code("BLOB_UNKNOWN", "blob unknown to registry", 404)
BLOB_UPLOAD_INVALID = Code("BLOB_UPLOAD_INVALID", "blob upload invalid", 400)
BLOB_UPLOAD_UNKNOWN = Code("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", 404)
DENIED = Code("DENIED", "requested access to the resource is denied", 403)
DIGEST_INVALID = Code("DIGEST_INVALID", "provided digest did not match uploaded content", 400)
MANIFEST_BLOB_UNKNOWN = Code("MANIFEST_BLOB_UNKNOWN", "manifest references a manifest or blob unknown to registry", 404)
MANIFEST_INVALID = Code("MANIFEST_INVALID", "manifest invalid", 400)
MANIFEST_TOO_LARGE = Code("SIZE_INVALID", "manifest is larger than this registry takes", 413)
MANIFEST_UNKNOWN = Code("MANIFEST_UNKNOWN", "manifest unknown to registry", 404)
NAME_INVALID = Code("NAME_INVALID", "invalid repository name", 400)
NAME_UNKNOWN = Code("NAME_UNKNOWN", "repository name not known to registry", 404)
NO_SPACE = Code("UNKNOWN", "no space left in the registry's store", 507)
NOT_FOUND = Code("NOT_FOUND", "there is nothing at this path", 404)
PAGINATION_NUMBER_INVALID = Code("PAGINATION_NUMBER_INVALID", "invalid number of results requested", 400)
RANGE_INVALID = Code("RANGE_INVALID", "invalid content range", 416)
SIZE_INVALID = Code("SIZE_INVALID", "provided length did not match content length", 400)
TAG_INVALID = Code("TAG_INVALID", "manifest tag did not match URI", 400)
TOO_MANY_UPLOADS = Code("TOOMANYREQUESTS", "too many unfinished uploads", 429)
UNAUTHORIZED = Code("UNAUTHORIZED", "authentication required", 401)
UNKNOWN = Code("UNKNOWN", "unknown error", 500)
UNSUPPORTED = Code("UNSUPPORTED", "the operation is unsupported", 405)


class RegistryError(Exception):
    """A request that cannot be met. ``detail``: JSON for whoever debugs; ``headers``: more of the answer's."""

    def __init__(self, code: Code, detail: Any = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(code.message)
        self.code = code
        self.detail = detail
        self.headers = headers or {}

    @property
    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        error = {"code": self.code.name, "message": self.code.message}
        return {"errors": [error if self.detail is None else {**error, "detail": self.detail}]}
