"""What ``cove build`` sends: a directory, a tar or a Dockerfile on stdin, a git repository, a URL, named contexts.

``preparing`` makes a ``Prepared`` of what the user named, ``sending`` gets it to the daemon.
"""
