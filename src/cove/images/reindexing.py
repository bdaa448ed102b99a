"""An index whose images get other manifests: the documents that name those, written anew. Pure.

A manifest that changes takes along the attestations about it, whose statements name its digest, and every index on the
way up. Fields that are not known here stay as they are.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from cove.digest import Digest
from cove.errors import InvalidArgument
from cove.images.targets import IN_TOTO, REFERENCE_DIGEST, Part, Target, decode, manifest_type
from cove.oci import image as oci

Read = Callable[[str], bytes]
"""The bytes of a blob by digest. Raises NotFound."""
_ALGORITHMS = ("sha256", "sha384", "sha512")
"""By which statements name manifests."""
Fields = dict[str, Any]


def can_change(target: Target, manifests: Iterable[str], here: Callable[[str], object]) -> bool:
    """Whether what attests to these manifests can be written anew: statements that are ``here``, nothing signed."""
    changing = set(manifests)
    attestations = [part for part in target.parts if part.kind == "attestation"]
    if any(part.subject.startswith("sha512:") for part in attestations):  # what these are about is not looked for
        return False
    about = [part for part in attestations if part.subject in changing]
    return all(
        all(here(blob.digest) for blob in (part.descriptor, *part.blobs))
        and all(blob.media_type == IN_TOTO for blob in part.blobs[1:])
        for part in about
    )


class Reindexed:
    """``new``: the bytes of everything that changes, by the digest that it had before."""

    def __init__(self, target: Target, manifests: Mapping[str, bytes], read: Read) -> None:
        """``manifests``: the images' new ones, by the digests of the old. Raises InvalidArgument, NotFound."""
        self.new = dict(manifests)
        self._read = read
        self._above: dict[str, tuple[str, ...]] = {}
        self._named = {
            str(Digest.of(before, algorithm)): now
            for before, now in ((read(digest), now) for digest, now in manifests.items())
            for algorithm in _ALGORITHMS
        }
        for part in target.parts:
            if part.kind == "attestation" and part.blobs and part.subject in manifests:
                self._attestation(part)
        if target.indexes:
            self._index(target.digest, frozenset(target.indexes), ())

    def indexes(self, manifest: str) -> list[bytes]:
        """Those that lead to a manifest, by its old digest, outermost first."""
        return [self._now(digest) for digest in self._above.get(manifest, ())]

    def _now(self, digest: str) -> bytes:
        return self.new[digest] if digest in self.new else self._read(digest)

    def _attestation(self, part: Part) -> None:
        manifest = self._fields(part.descriptor.digest)
        for layer in manifest["layers"]:
            statement = self._fields(layer["digest"])
            for hashes in _subjects(layer["digest"], statement):
                for algorithm, before in hashes.items():
                    if now := self._named.get(f"{algorithm}:{before}"):
                        hashes[algorithm] = Digest.of(now, algorithm).hex
            self._change(layer["digest"], statement)
        config = self._fields(manifest["config"]["digest"])
        diff_ids = (config.get("rootfs") or {}).get("diff_ids") or []
        diff_ids[:] = [str(Digest.of(self.new[each])) if each in self.new else each for each in diff_ids]
        self._change(manifest["config"]["digest"], config)
        for descriptor in (manifest["config"], *manifest["layers"]):
            self._point(descriptor)
        self._change(part.descriptor.digest, manifest)

    def _index(self, digest: str, here: frozenset[str], above: tuple[str, ...]) -> None:
        """``here``: the indexes whose bytes are. ``above``: those on the way to this one."""
        index = self._fields(digest)
        path, changed = (*above, digest), False
        for entry in index["manifests"]:
            if entry["digest"] in here:
                self._index(entry["digest"], here - {digest}, path)
            self._above.setdefault(entry["digest"], path)
            changed |= self._point(entry)
        if changed:
            self._change(digest, index)

    def _point(self, descriptor: Fields) -> bool:
        """Have a descriptor name what is now in its place; whether that is something else."""
        annotations = descriptor.get("annotations") or {}
        if about := self.new.get(annotations.get(REFERENCE_DIGEST, "")):
            annotations[REFERENCE_DIGEST] = str(Digest.of(about))
        body = self.new.get(descriptor["digest"])
        if body is None:
            return bool(about)
        descriptor |= {"digest": str(Digest.of(body)), "size": len(body)}
        descriptor.pop("data", None)  # the bytes of before
        if descriptor["mediaType"] == oci.DOCKER_MANIFEST:
            descriptor["mediaType"] = manifest_type(body)
        return True

    def _fields(self, digest: str) -> Fields:
        return decode(self._read(digest), Fields, digest)

    def _change(self, digest: str, now: Fields) -> None:
        self.new[digest] = msgspec.json.encode(now)


def _subjects(digest: str, statement: Fields) -> list[Fields]:
    """The hashes of what a statement is about, by algorithm (in-toto's ResourceDescriptor). Raises InvalidArgument."""
    try:
        hashes = [subject["digest"] for subject in statement["subject"]]
    except (KeyError, TypeError):
        hashes = [None]
    if not all(isinstance(each, dict) for each in hashes):
        raise InvalidArgument(f"attestation {digest}: there is no digest of what it is about")
    return hashes
