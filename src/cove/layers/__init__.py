"""Unpacked layers: tar streams in, overlay directories out.

Imports only floors 0 and 1 and ``content``. Read ``tar`` (the archives), then ``unpack`` and ``pack`` (entries to a
directory and back), then ``worker`` (where that happens: never in the daemon's own process) and ``layers`` (directories
and rows). ``erofs`` is how a layer lies on disk without being unpacked. What uses all this has a package each:
``builds``, ``volumes`` and ``looking``; ``view`` and ``copying`` are about the files of a container.
"""

from cove.layers.layers import Layer, Layers, Packed
from cove.layers.worker.client import Worker, wait_for_workers

__all__ = ["Layer", "Layers", "Packed", "Worker", "wait_for_workers"]
