"""One image of an OCI layout, as the archive that ``POST /images/load`` takes: what is not the image's is not sent."""

from __future__ import annotations

import json
import os

from cove.cli.failure import Failure
from cove.contexts import Entry, tar_pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Descriptor = dict[str, Any]

NAME, CONTAINERD_NAME = "org.opencontainers.image.ref.name", "io.containerd.image.name"
_MOST = 16 << 20
"""Bytes of an index or a manifest."""
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")


class Layout:
    """The image of ``DIRECTORY[:TAG][@DIGEST]``. Raises Failure when there is none, or more than one."""

    def __init__(self, place: str) -> None:
        place, _, digest = place.partition("@")
        directory, _, tag = place.rpartition(":") if not os.path.isdir(place) else (place, "", "")
        self._root = directory or place
        listed = self._json(os.path.join(self._root, "index.json")).get("manifests") or []
        found = [each for each in listed if _is(each, tag, digest)]
        if len(found) != 1:
            raise Failure(f"oci-layout {place}: {len(found)} images are called so; name one with :TAG or @DIGEST")
        self._image: Descriptor = {name: value for name, value in found[0].items() if name != "annotations"}

    def pieces(self, name: str) -> Iterator[bytes]:
        """The archive, in which the image is called so. Raises Failure for blobs that are not there."""
        index = {"schemaVersion": 2, "manifests": [{**self._image, "annotations": {CONTAINERD_NAME: name}}]}
        about = (("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", json.dumps(index).encode()))
        digests = dict.fromkeys(self._digests(self._image))
        return tar_pieces((self._blob(digest) for digest in digests), about)

    def _digests(self, descriptor: Descriptor) -> Iterator[str]:
        """Of everything that belongs to an image, and is here: an index need not have all platforms."""
        if not os.path.exists(self._path(descriptor["digest"])):
            return
        yield descriptor["digest"]
        if descriptor.get("mediaType") in _INDEXES:
            for each in self._content(descriptor).get("manifests") or ():
                yield from self._digests(each)
        else:
            content = self._content(descriptor)
            yield from (each["digest"] for each in (content["config"], *content["layers"]))

    def _content(self, descriptor: Descriptor) -> Descriptor:
        return self._json(self._path(descriptor["digest"]))

    def _blob(self, digest: str) -> Entry:
        path = self._path(digest)
        try:
            return Entry(os.path.relpath(path, self._root), path, os.stat(path))
        except OSError as error:
            raise Failure(f"oci-layout {self._root}: blob {digest}: {error.strerror}") from error

    def _path(self, digest: str) -> str:
        algorithm, _, digits = digest.partition(":")
        if not algorithm.isalnum() or not digits.isalnum():
            raise Failure(f"oci-layout {self._root}: {digest} is no digest")
        return os.path.join(self._root, "blobs", algorithm, digits)

    def _json(self, path: str) -> Descriptor:
        try:
            with open(path, "rb") as file:
                found = json.loads(file.read(_MOST))
        except (OSError, ValueError) as error:
            raise Failure(f"oci-layout {self._root}: {path}: {error}") from error
        if not isinstance(found, dict):
            raise Failure(f"oci-layout {self._root}: {path} is no JSON object")
        return found


def _is(descriptor: Descriptor, tag: str, digest: str) -> bool:
    """Whether a layout's entry is what is asked for: all are when nothing is."""
    name = (descriptor.get("annotations") or {}).get(NAME, "")
    return (not tag or tag in (name, name.rpartition(":")[2])) and (not digest or digest == descriptor.get("digest"))
