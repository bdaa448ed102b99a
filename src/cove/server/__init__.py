"""The Engine API over HTTP: routes, streams, hijacked connections, version negotiation, errors as status codes.

Imports ``cove.wire``, ``cove.errors``, ``cove.filters`` and ``cove.units``, and declares the Protocols that it calls,
each beside its routes; ``services`` lists them. Start reading at ``app``.
"""
