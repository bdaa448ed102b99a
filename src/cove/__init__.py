"""Cove: a container platform that speaks the Docker Engine API.

Nothing is imported here: every command and process pays for what it imports, so each says what it needs.
Start reading at docs/flow.md, which follows one ``run`` through the packages.
"""

__version__ = "0.1.0"
