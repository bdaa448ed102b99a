"""The signals that STOPSIGNAL may name."""

import re
import signal

from cove.dockerfile.failure import DockerfileError

_REAL_TIME = re.compile(r"RTMIN(?:\+(?:[1-9]|1[0-5]))?|RTMAX(?:-(?:[1-9]|1[0-4]))?")
_NAMES = {each.name.removeprefix("SIG") for each in signal.Signals} | {"IOT", "CLD", "POLL", "STKFLT", "UNUSED"}


def check_signal(text: str) -> None:
    """Raises DockerfileError for what is neither a number but 0 nor a name, with SIG or without."""
    name = text.upper().removeprefix("SIG")
    number = text.removeprefix("-").removeprefix("+")
    if number.isascii() and number.isdecimal():
        known = number.strip("0") != ""
    else:
        known = name in _NAMES or _REAL_TIME.fullmatch(name) is not None
    if not known:
        raise DockerfileError(f"invalid signal: {text}", culprit=text)
