"""The builder: a graph of operations, solved with a cache, to an image or to files.

Imports floors 0 to 2 and ``registry.client``; knows nothing of HTTP, and starts programs by a Protocol that the engine
meets (``solving.running``). Start reading with ``builder``, then ``planning`` (a Dockerfile to a graph), ``solving``
and ``cache``.
"""
