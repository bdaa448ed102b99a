"""The daemon's own log: one line per record on standard error, in logfmt, so that people and machines can read it."""

import json
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


class JSONFormatter(logging.Formatter):
    """An object on a line, with the keys that dockerd uses."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "level": record.levelname.lower(),
            "logger": record.name.removeprefix("cove."),
            "msg": record.getMessage(),
            "time": f"{moment}.{int(record.msecs):03d}Z",
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(level: str, form: str = "text", *, debug: bool) -> None:
    """Log to standard error from ``level`` on, as ``text`` or ``json``; again to change it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter() if form == "json" else LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else LEVELS[level])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
