"""Signals as users name them: ``SIGTERM``, ``TERM``, ``15``, ``SIGRTMIN+3``."""

import signal

from cove.errors import InvalidArgument

_NAMES = {item.name.removeprefix("SIG"): int(item) for item in signal.Signals}
_NAMES |= {"CLD": int(signal.SIGCHLD), "POLL": int(signal.SIGIO)}


def number(text: str) -> int:
    """The number of a signal. Raises InvalidArgument in Docker's words."""
    if text.isdecimal():
        value = int(text)
        if 0 < value < signal.NSIG:
            return value
        raise InvalidArgument(f"invalid signal: {text}")
    name = text.upper().removeprefix("SIG")
    value = _NAMES.get(name, 0) or _realtime(name)
    if not value:
        raise InvalidArgument(f"invalid signal: {text}")
    return value


def _realtime(name: str) -> int:
    base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
    start = {"RTMIN": int(signal.SIGRTMIN), "RTMAX": int(signal.SIGRTMAX)}.get(base)
    if start is None or not offset.isdecimal():
        return 0
    value = start + int(offset) if sign == "+" else start - int(offset)
    return value if signal.SIGRTMIN <= value <= signal.SIGRTMAX else 0
