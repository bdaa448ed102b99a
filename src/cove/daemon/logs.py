"""The daemon's own log: one line per record on standard error, in logfmt, so that people and machines can read it."""

import logging
import sys
import time

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}


class LogfmtFormatter(logging.Formatter):
    """``time=… level=… logger=… msg="…"``, with the traceback, if any, on the lines below."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        message = record.getMessage().replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        line = (
            f"time={moment}.{int(record.msecs):03d}Z level={record.levelname.lower()} "
            f'logger={record.name.removeprefix("cove.")} msg="{message}"'
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def configure(level: str, *, debug: bool) -> None:
    """Log to standard error from ``level`` on; again to change the level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else LEVELS[level])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
