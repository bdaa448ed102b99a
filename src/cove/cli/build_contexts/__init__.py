"""What ``cove build`` sends: a directory, a tar or a Dockerfile on stdin, a git repository, a URL, named contexts.

``preparing`` is the way in: it makes a ``Prepared`` of what the user named. ``walking`` goes through a directory,
``tarring`` makes a tar of it, ``sending`` sends only what the daemon lacks.
"""
