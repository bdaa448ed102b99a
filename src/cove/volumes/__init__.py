"""Volumes: directories that outlive containers.

Imports floors 0 and 1. ``volumes`` holds the service; the local driver is a directory below the data root.
"""

from cove.volumes.volumes import Volume, Volumes

__all__ = ["Volume", "Volumes"]
