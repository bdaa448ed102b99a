"""What of an index is written anew when manifests in it change."""

import json
from typing import Any

import pytest

from cove.digest import Digest
from cove.errors import InvalidArgument
from cove.images.reindexing import Reindexed, can_change
from cove.images.targets import IN_TOTO, Target, survey
from cove.oci import image as oci

ATTESTATION = "vnd.docker.reference.type"
ABOUT = "vnd.docker.reference.digest"


class Blobs:
    """Documents by digest."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, content: Any, media_type: str, **more: Any) -> dict[str, Any]:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = str(Digest.of(data))
        self.kept[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data), **more}

    def manifest(self, config: Any, layers: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        body = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": self.put(config, oci.CONFIG), "layers": layers}
        return self.put(body, oci.MANIFEST, **more)

    def index(self, *entries: dict[str, Any]) -> dict[str, Any]:
        return self.put({"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": list(entries), "kept": 1}, oci.INDEX)

    def target(self, top: dict[str, Any]) -> Target:
        descriptor = oci.Descriptor(top["mediaType"], top["digest"], top["size"])
        return survey(descriptor, self.kept.get, lambda manifest: True)


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


def _image(blobs: Blobs, name: str) -> dict[str, Any]:
    platform = {"os": "linux", "architecture": name}
    rootfs = {"type": "layers", "diff_ids": []}
    return blobs.manifest({**platform, "rootfs": rootfs}, [], platform=platform)


def _attestation(blobs: Blobs, about: str, statement: Any, media_type: str = IN_TOTO) -> dict[str, Any]:
    unknown = {"os": "unknown", "architecture": "unknown"}
    layer = blobs.put(statement, media_type)
    config = {**unknown, "rootfs": {"type": "layers", "diff_ids": [layer["digest"], "sha256:of-no-blob"]}}
    annotations = {ATTESTATION: "attestation-manifest", ABOUT: about}
    return blobs.manifest(config, [layer], platform=unknown, annotations=annotations)


def _statement(*digests: str) -> dict[str, Any]:
    return {
        "subject": [{"name": "x", "digest": {"sha256": digest.partition(":")[2], "sha1": "1"}} for digest in digests]
    }


def test_all_that_names_a_manifest_names_the_new_one(blobs: Blobs) -> None:
    first, second = _image(blobs, "amd64"), _image(blobs, "arm64")
    note = _attestation(blobs, first["digest"], _statement(first["digest"], second["digest"]))
    inner = blobs.index(first, note)
    target = blobs.target(blobs.index(inner, second))
    now = b'{"the":"new manifest"}'
    done = Reindexed(target, {first["digest"]: now}, lambda digest: blobs.kept[digest])
    outer, middle = (json.loads(body) for body in done.indexes(first["digest"]))
    assert outer["kept"] == middle["kept"] == 1 and outer["manifests"][1] == second
    assert outer["manifests"][0]["digest"] == str(Digest.of(done.new[inner["digest"]]))
    image, about = middle["manifests"]
    assert image == {**first, "digest": str(Digest.of(now)), "size": len(now)}
    assert about["annotations"][ABOUT] == image["digest"]
    manifest = json.loads(done.new[note["digest"]])
    (layer,) = manifest["layers"]
    by_digest = {str(Digest.of(body)): json.loads(body) for body in done.new.values()}
    assert [each["digest"]["sha256"] for each in by_digest[layer["digest"]]["subject"]] == [
        image["digest"].partition(":")[2],
        second["digest"].partition(":")[2],
    ]
    assert by_digest[manifest["config"]["digest"]]["rootfs"]["diff_ids"] == [layer["digest"], "sha256:of-no-blob"]


def test_statements_by_another_algorithm_and_embedded_bytes(blobs: Blobs) -> None:
    image = {**_image(blobs, "amd64"), "data": "e30="}
    body, now = blobs.kept[image["digest"]], b'{"the":"new manifest"}'
    statement = {"subject": [{"name": "x", "digest": {"sha512": Digest.of(body, "sha512").hex, "sha1": "1"}}]}
    target = blobs.target(blobs.index(image, _attestation(blobs, image["digest"], statement)))
    done = Reindexed(target, {image["digest"]: now}, lambda digest: blobs.kept[digest])
    said = json.loads(done.new[str(Digest.of(json.dumps(statement).encode()))])
    assert said["subject"][0]["digest"] == {"sha512": Digest.of(now, "sha512").hex, "sha1": "1"}
    (index,) = done.indexes(image["digest"])
    assert "data" not in json.loads(index)["manifests"][0]
    about = str(Digest.of(body, "sha512"))
    odd = blobs.target(blobs.index(image, _attestation(blobs, about, _statement(image["digest"]))))
    assert not can_change(odd, [image["digest"]], blobs.kept.get)


def test_a_manifest_without_an_index(blobs: Blobs) -> None:
    image = _image(blobs, "amd64")
    done = Reindexed(blobs.target(image), {image["digest"]: b"{}"}, lambda digest: blobs.kept[digest])
    assert done.new == {image["digest"]: b"{}"} and done.indexes(image["digest"]) == []


def test_what_is_signed_or_not_here_keeps_its_index(blobs: Blobs) -> None:
    image, other = _image(blobs, "amd64"), _image(blobs, "arm64")
    signed = _attestation(blobs, image["digest"], {}, "application/vnd.dsse.envelope.v1+json")
    target = blobs.target(blobs.index(image, other, signed))
    assert not can_change(target, [image["digest"]], blobs.kept.get)
    assert can_change(target, [other["digest"]], blobs.kept.get)
    plain = blobs.target(blobs.index(image, _attestation(blobs, image["digest"], _statement(image["digest"]))))
    assert can_change(plain, [image["digest"]], blobs.kept.get)
    for lacking in plain.parts[1].blobs, [plain.parts[1].descriptor]:
        here = blobs.kept.keys() - {blob.digest for blob in lacking}
        assert not can_change(plain, [image["digest"]], here.__contains__)


@pytest.mark.parametrize("statement", [{}, {"subject": 1}, {"subject": [{}]}, {"subject": [{"digest": "x"}]}, b"["])
def test_what_is_no_statement(blobs: Blobs, statement: Any) -> None:
    image = _image(blobs, "amd64")
    target = blobs.target(blobs.index(image, _attestation(blobs, image["digest"], statement)))
    with pytest.raises(InvalidArgument):
        Reindexed(target, {image["digest"]: b"{}"}, lambda digest: blobs.kept[digest])
