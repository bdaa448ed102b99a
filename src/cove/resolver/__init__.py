"""The resolver: the process that answers at 127.0.0.11 in the sandboxes of user networks.

May import ``errors``, ``kernel`` and ``runtime.loop``; nothing of it is imported by a daemon without a user network but
``messages`` and ``launch``. Start reading at ``service``; ``messages`` says what the daemon tells it.
"""
