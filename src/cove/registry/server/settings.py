"""What a registry is started with. The command line hands it over as JSON."""

import msgspec

MANIFEST_LIMIT = 4 << 20
"""Bytes of a manifest (distribution-spec 1.1, "Pushing Manifests": a registry should take at least 4 MiB)."""

UPLOADS_LIMIT = 10_000
"""Unfinished uploads at one time."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``address``: ``host:port``, port 0 for any. ``upload_age``: seconds that an unfinished upload is kept for."""

    root: str
    address: str = "127.0.0.1:5000"
    htpasswd: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    read_only: bool = False
    upload_age: float = 24 * 3600
    log_level: str = "info"
