"""What the tests share: declared needs, network namespaces, daemons of their own, and the leak check.

Start reading at ``daemon`` (a real coved with its own roots and network namespace) and ``leaks``.
"""
