"""When a request is tried again, and after how long."""

import asyncio
import email.utils
import time

from cove.errors import CoveError
from cove.registry.client.failures import RegistryError, Unreachable
from cove.registry.client.settings import Patience

STATUSES = frozenset((408, 429, 500, 502, 503, 504))
"""Answers after which the same request may do better."""


def may_pass(error: CoveError) -> bool:
    """Whether what failed may do better when it is tried again."""
    return isinstance(error, Unreachable) or (isinstance(error, RegistryError) and error.status in STATUSES)


def wait_of(error: CoveError) -> float:
    """Seconds that a registry asked for with its refusal, 0 when it did not."""
    return error.wait if isinstance(error, RegistryError) else 0.0


def asked_seconds(header: str, now: float | None = None) -> float:
    """What ``Retry-After`` asks for, in seconds: a number of them, or a date (RFC 9110). 0 when it says nothing."""
    text = header.strip()
    if text.isdigit() and len(text) < 10:
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return max(moment - (time.time() if now is None else now), 0.0)


def seconds(attempt: int, asked: float, patience: Patience, chance: float) -> float:
    """How long to wait after an attempt, from 1 on. ``chance``: 0 to 1, so that many clients do not come at once."""
    own = patience.backoff * float(1 << (attempt - 1)) * (0.5 + chance / 2)
    return min(max(own, asked), patience.longest)


async def pause(attempt: int, asked: float, patience: Patience, chance: float) -> None:
    """Wait so long."""
    await asyncio.sleep(seconds(attempt, asked, patience, chance))
