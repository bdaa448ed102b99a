"""The schema of a registry's ``registry.db``, as numbered migrations (the rule is that of ``cove.store.schema``).

============== =================================================================================================
repositories   names, each with a number that the others refer to
blobs          what is in ``blobs/``, manifests too; a row exists only for bytes that are whole, synced and verified
links          which blobs a repository has
manifests      which manifests a repository has; ``subject`` is a digest, or empty; ``record``: ``index.Manifest``
tags           names of manifests
uploads        uploads that are not finished; their bytes are in ``uploads/<id>``
============== =================================================================================================
"""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE repositories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE links (
        repository INTEGER NOT NULL REFERENCES repositories (id), digest TEXT NOT NULL REFERENCES blobs (digest),
        PRIMARY KEY (repository, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX links_digest ON links (digest);
    CREATE TABLE manifests (
        repository INTEGER NOT NULL REFERENCES repositories (id), digest TEXT NOT NULL REFERENCES blobs (digest),
        subject TEXT NOT NULL, artifact_type TEXT NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (repository, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX manifests_digest ON manifests (digest);
    CREATE INDEX manifests_subject ON manifests (repository, subject, digest) WHERE subject <> '';
    CREATE TABLE tags (
        repository INTEGER NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, name),
        FOREIGN KEY (repository, digest) REFERENCES manifests (repository, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tags_manifest ON tags (repository, digest);
    CREATE TABLE uploads (id TEXT PRIMARY KEY, repository TEXT NOT NULL) STRICT, WITHOUT ROWID;
    """,
)
