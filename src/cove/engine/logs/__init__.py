"""What containers wrote: the options of log drivers, and files of every format, read, searched and shown.

Written they are by the shims (``cove.runtime.logs``). Start reading at ``reader``.
"""
