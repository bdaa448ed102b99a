"""Blobs: immutable bytes named by digest, in an OCI layout below the data root.

Imports only floors 0 and 1. ``blobs`` holds them on disk and their rows; ``compression`` tells and undoes gzip, zstd,
xz and bzip2.
"""

from cove.content.blobs import Blob, Blobs

__all__ = ["Blob", "Blobs"]
