"""What the kernel writes to its log from some moment on (Documentation/ABI/testing/dev-kmsg)."""

import errno
import os

_RECORD_BYTES = 8192  # a read with less room than the record takes fails
_TASK = ",task_memcg="


class OutOfMemoryLog:
    """Counts who was killed for want of memory in one control group and below it, since this was made.

    For a group whose own counters may be gone before they are read. The kernel writes a line for each kill, but no
    more than ten in five seconds (mm/oom_kill.c), so this is a second best.
    """

    def __init__(self, group: str) -> None:
        """``group``: its path from the root of its hierarchy. Raises OSError when the log is not for us."""
        self._group = group.replace("\\", "\\x5c")  # as the log has it
        self._kills = 0
        self._descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def kills(self) -> int:
        while (record := self._next()) is not None:
            self._kills += names_kill(record, self._group)
        return self._kills

    def _next(self) -> str | None:
        while True:
            try:
                return os.read(self._descriptor, _RECORD_BYTES).decode(errors="replace")
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno != errno.EPIPE:  # records were overwritten before they were read; the next one is there
                    raise


def names_kill(record: str, group: str) -> bool:
    """Whether a record tells of a kill in the group or below it; ``group`` as the log spells it."""
    if "oom-kill:constraint=" not in record:
        return False
    _, _, rest = record.partition(_TASK)
    return rest.startswith((f"{group},task=", f"{group}/"))
