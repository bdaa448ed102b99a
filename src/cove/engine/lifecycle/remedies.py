"""What is done with a container that its probes find unhealthy, when its user asked for that: an extension of ours.

A restart waits as the restart policy's do: longer from time to time, up to a minute. A kill is an end like any other,
which the restart policy follows; a stop is a user's.
"""

import contextlib
import logging
import signal

from cove.engine.containers.container import Container
from cove.engine.events.announcements import Announcements
from cove.engine.lifecycle.background import Background
from cove.engine.lifecycle.stopping import Stopping
from cove.engine.lifecycle.transitions import Transitions
from cove.errors import CoveError

log = logging.getLogger(__name__)


class Remedies:
    """Acts on containers that are unhealthy."""

    def __init__(self, transitions: Transitions, stopping: Stopping, announcements: Announcements) -> None:
        self._transitions = transitions
        self._stopping = stopping
        self._announcements = announcements
        self._acts = Background()

    def apply(self, container: Container) -> None:
        """Do what the container's user asked for, unless something is under way with it."""
        action = container.record.host_config.health_on_failure
        if action in ("", "none") or container.claim is not None:
            return
        self._announcements.publish(container, f"health_on_failure: {action}")
        self._acts.begin(self._act(container, action))

    async def close(self) -> None:
        """Leave what is under way as it is: the next daemon probes again."""
        await self._acts.cancel()

    async def _act(self, container: Container, action: str) -> None:
        log.info("container %s is unhealthy: %s", container.id[:12], action)
        with contextlib.suppress(CoveError):  # it has just ended by itself, or was removed
            if action == "kill":
                await self._stopping.signal(container, signal.SIGKILL)
            elif action == "stop":
                await self._transitions.stop(container, None, "")
            else:
                await self._transitions.restart_later(container)
