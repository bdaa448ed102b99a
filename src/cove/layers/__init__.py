"""Unpacked layers: tar streams in, overlay directories out.

Imports only floors 0 and 1 and ``content``. Read ``tar`` (the reader), then ``unpack`` (entries to a directory), then
``jobs``, ``worker`` and ``worker_client`` (where that happens: never in the daemon's own process), then ``layers``
(directories and rows). The other way are ``tar_writer`` and ``pack`` (a directory to entries); ``view`` and ``copying``
are about the files of a container.
"""

from cove.layers.layers import Layer, Layers, Packed
from cove.layers.worker_client import Worker

__all__ = ["Layer", "Layers", "Packed", "Worker"]
