"""The command line: what ``docker`` does, said to any engine that speaks its API.

May import ``client``, ``wire`` and value types. ``main`` finds the command in ``catalog`` and imports only its module
under ``commands``; ``flags`` is the grammar of options, ``usage`` the help, ``formatter`` and ``template`` what is
printed. Nothing is imported here, and nothing at start-up that the command does not use.
"""
