"""A registry: distribution-spec 1.1 on a file store with SQLite; what ``cove registry serve`` runs.

Imports ``errors``, ``digest``, ``oci`` and ``store`` of the floors below, never ``registry.client``. ``main`` puts
it together; ``app`` finds the handler of a request, checks who asks, and turns errors into answers. The ``*_routes``
have the handlers. ``index`` is what the registry knows (SQLite), ``files`` where the bytes are, ``uploads`` how they
come in, ``manifests`` what is read in a manifest. Start reading in ``app``.
"""
