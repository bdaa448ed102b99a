"""Volumes: what outlives containers.

Imports floors 0 and 1. ``volumes`` holds the service and asks ``driver``s, of which ``local`` is the one of our own
and others are plug-ins.
"""

from cove.volumes.driver import Details, Driver, Source
from cove.volumes.record import LOCAL, Volume
from cove.volumes.spaces import Space, Spaces
from cove.volumes.volumes import Seen, Volumes

__all__ = ["LOCAL", "Details", "Driver", "Seen", "Source", "Space", "Spaces", "Volume", "Volumes"]
