"""The API's builds: ``cove.build`` with this engine's images, containers and clients.

Start reading at ``builds``; ``steps`` runs the programs of RUN.
"""
