"""What a call reports: to standard error, and to the log that the caller names, which it reads when a call failed."""

import os
import sys
import time

from cove.lean import json


class Journal:
    """``path``: the file of --log, or "" for standard error alone; ``form``: "text" or "json"."""

    def __init__(self, path: str, form: str, debug: bool) -> None:
        """Raises OSError when the log cannot be opened."""
        self._form = form
        self._debug = debug
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644) if path else -1

    def debug(self, message: str) -> None:
        if self._debug:
            self._write("debug", message)

    def warning(self, message: str) -> None:
        self._write("warning", message)

    def error(self, message: str) -> None:
        """The reason why the call fails: in the log, and in any case on standard error."""
        self._write("error", message)
        if self._file >= 0:
            print(message, file=sys.stderr)

    def _write(self, level: str, message: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self._form == "json":
            line = json.dumps({"level": level, "msg": message, "time": now})
        else:
            line = f"time={json.dumps(now)} level={level} msg={json.dumps(message)}"
        os.write(self._file if self._file >= 0 else 2, f"{line}\n".encode(errors="surrogateescape"))
