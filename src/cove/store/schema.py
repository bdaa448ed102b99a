"""The schema of the database, as numbered migrations.

Rule: a migration that has been released never changes; a new one is appended. ``PRAGMA user_version`` counts the
migrations that a file has seen. A file from a newer Cove is refused, never guessed at.

Every table has a ``record`` column: the JSON of the struct that its package defines. The other columns are what is
looked up, ordered by, or must be unique; uniqueness is a constraint here and nowhere else.

============== =================================================================================================
containers     one row per container; ``name`` without a leading slash
images         one row per image; ``id`` is the digest of its configuration blob
image_names    references (``docker.io/library/busybox:latest``, canonical) to image ids
image_targets  what names point at: indexes and manifests by digest, and which images they lead to
layers         unpacked layers by chain id; ``directory`` is the short name below ``layers/``
blobs          what is in ``blobs``; rows exist only for blobs that are whole, synced and verified
networks       one row per network
endpoints      attachments of containers to networks; an address is in use while its row is there
ports          published ports; ``address`` is the host address as text, ``0.0.0.0`` or ``::`` for all
volumes        one row per volume
image_mounts   images that containers mount, which stay for them; goes with the container's row
runs           how containers of a name ended; bounded, see ``cove.engine.lifecycle.runs``
learned        where containers went under the egress policy ``learn``, see ``cove.engine.networking.learned``
trash          what was removed and can be brought back; ``image``: the image that it needs, or empty
sockets        further sockets of the API that can do a part of it, see ``cove.daemon.scoped_sockets``
build_cache    what steps of builds made, by all that they depend on; ``used`` in nanoseconds
last_use       when containers last used images and volumes, see ``cove.engine.removing.last_use``
events         what happened, oldest first; bounded, see ``cove.engine.events.eventlog``; ``time`` in nanoseconds
============== =================================================================================================
"""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE containers (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, image TEXT NOT NULL, record BLOB NOT NULL
    ) STRICT;
    CREATE INDEX containers_image ON containers (image);

    CREATE TABLE images (id TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT;
    CREATE TABLE image_names (
        reference TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images (id), record BLOB NOT NULL
    ) STRICT;
    CREATE INDEX image_names_image ON image_names (image);
    CREATE TABLE layers (
        chain_id TEXT PRIMARY KEY, parent TEXT REFERENCES layers (chain_id),
        directory TEXT NOT NULL UNIQUE, record BLOB NOT NULL
    ) STRICT;
    CREATE INDEX layers_parent ON layers (parent);
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, record BLOB NOT NULL) STRICT;

    CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL) STRICT;
    CREATE TABLE endpoints (
        network TEXT NOT NULL REFERENCES networks (id), container TEXT NOT NULL,
        address4 TEXT, address6 TEXT, record BLOB NOT NULL,
        PRIMARY KEY (network, container), UNIQUE (network, address4), UNIQUE (network, address6)
    ) STRICT;
    CREATE INDEX endpoints_container ON endpoints (container);
    CREATE TABLE ports (
        protocol TEXT NOT NULL, address TEXT NOT NULL, port INTEGER NOT NULL, container TEXT NOT NULL,
        record BLOB NOT NULL, PRIMARY KEY (protocol, address, port)
    ) STRICT;
    CREATE INDEX ports_container ON ports (container);

    CREATE TABLE volumes (name TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE events (number INTEGER PRIMARY KEY, time INTEGER NOT NULL, record BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE trash (
        id TEXT PRIMARY KEY, removed INTEGER NOT NULL, image TEXT NOT NULL, record BLOB NOT NULL
    ) STRICT;
    CREATE INDEX trash_image ON trash (image);
    """,
    """
    CREATE TABLE runs (number INTEGER PRIMARY KEY, name TEXT NOT NULL, record BLOB NOT NULL) STRICT;
    CREATE INDEX runs_name ON runs (name);
    """,
    """
    CREATE TABLE sockets (name TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE learned (
        container TEXT PRIMARY KEY REFERENCES containers (id) ON DELETE CASCADE, record BLOB NOT NULL
    ) STRICT;
    """,
    """
    CREATE TABLE image_targets (digest TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE build_cache (key TEXT PRIMARY KEY, used INTEGER NOT NULL, record BLOB NOT NULL) STRICT;
    """,
    """
    CREATE TABLE last_use (kind TEXT NOT NULL, id TEXT NOT NULL, record BLOB NOT NULL, PRIMARY KEY (kind, id)) STRICT;
    """,
    """
    CREATE TABLE image_mounts (
        container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE, image TEXT NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (container, image)
    ) STRICT;
    CREATE INDEX image_mounts_image ON image_mounts (image);
    """,
)
