"""Volumes: what outlives containers.

Imports floors 0 and 1. ``volumes`` holds the service and asks ``driver``s, of which ``local`` is the one of our own.
"""

from cove.volumes.driver import Driver, Source
from cove.volumes.record import LOCAL, Volume
from cove.volumes.volumes import Volumes

__all__ = ["LOCAL", "Driver", "Source", "Volume", "Volumes"]
