"""The OCI runtime: it turns a bundle into a running container and stays beside it.

Imports ``cove.kernel``, ``cove.oci.runtime``, ``cove.errors`` and a short list of the standard library; a test
starts a fresh interpreter and checks that. The engine imports ``messages`` and ``launch`` and no more.
Read ``messages`` first (who says what to whom), then ``zygote``, ``shim`` and ``init``.
"""
