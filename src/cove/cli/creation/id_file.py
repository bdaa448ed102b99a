"""``--cidfile``: a file that must not exist before and has the container's ID after; none is left without one."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class IdFileError(Exception):
    """The file cannot be used, in Docker's words."""


class IdFile:
    """A context around a creation; ``write`` fills the file. Nothing happens for an empty path.

    Raises IdFileError.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._written = False

    def __enter__(self) -> IdFile:
        if not self.path:
            return self
        if os.path.exists(self.path):
            raise IdFileError(
                f"container ID file found, make sure the other container isn't running or delete {self.path}"
            )
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise IdFileError(f"failed to create the container ID file: open {self.path}: {reason}") from error
        return self

    def write(self, identity: str) -> None:
        if self.path:
            with open(self.path, "w", encoding="utf-8") as file:
                file.write(identity)
            self._written = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.path and not self._written:
            os.unlink(self.path)
