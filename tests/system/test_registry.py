"""``cove registry serve`` by raw HTTP: the end points of distribution-spec 1.1, their status codes and headers."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.registry import Answer, Registry
from harness.waiting import eventually

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


NOWHERE = {"mediaType": LAYER, "digest": sha(b"nowhere"), "size": 7}
"""A descriptor of what no repository has."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry") / "root") as started:
        yield started


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "root") as started:
        yield started


def code(answer: Answer) -> str:
    """The error code of an answer."""
    return str(json.loads(answer.body)["errors"][0]["code"])


def push_blob(registry: Registry, name: str, content: bytes) -> str:
    answer = registry.http("POST", f"/v2/{name}/blobs/uploads/?digest={sha(content)}", content)
    assert answer.status == 201, answer
    return sha(content)


def manifest_of(registry: Registry, name: str, layer: bytes, **more: object) -> bytes:
    descriptors = [
        {"mediaType": kind, "digest": push_blob(registry, name, content), "size": len(content)}
        for kind, content in ((CONFIG, b"{}"), (LAYER, layer))
    ]
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptors[0], "layers": descriptors[1:], **more}
    return json.dumps(body).encode()


def push(registry: Registry, name: str, reference: str, content: bytes, kind: str = MANIFEST) -> Answer:
    return registry.http("PUT", f"/v2/{name}/manifests/{reference}", content, {"Content-Type": kind})


def pushed(registry: Registry, name: str, tag: str, layer: bytes = b"layer", **more: object) -> str:
    content = manifest_of(registry, name, layer, **more)
    answer = push(registry, name, tag, content)
    assert answer.status == 201, answer
    return sha(content)


def test_the_version(shared: Registry) -> None:
    for path in ("/v2", "/v2/"):
        answer = shared.http("GET", path)
        assert (answer.status, answer.body) == (200, b"{}")
        assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


def test_an_upload_in_chunks(shared: Registry) -> None:
    began = shared.http("POST", "/v2/a/b/blobs/uploads/", b"")
    place = began.headers["location"]
    assert (began.status, began.headers["range"]) == (202, "0-0")
    assert began.headers["docker-upload-uuid"] == place.rsplit("/", 1)[1]
    chunk = shared.http("PATCH", place, b"hello ", {"Content-Range": "0-5"})
    assert (chunk.status, chunk.headers["range"], chunk.headers["location"]) == (202, "0-5", place)
    where = shared.http("GET", place)
    assert (where.status, where.headers["range"]) == (204, "0-5")
    for wrong in ("0-5", "7-12", "9-3", "x"):
        refused = shared.http("PATCH", place, b"world!", {"Content-Range": wrong})
        assert refused.status == 416 and code(refused) == "RANGE_INVALID", (wrong, refused)
    assert refused.status == 416
    last = shared.http("PUT", f"{place}?digest={sha(b'hello world')}", b"world", {"Content-Range": "6-10"})
    assert (last.status, last.headers["docker-content-digest"]) == (201, sha(b"hello world"))
    assert last.headers["location"] == f"/v2/a/b/blobs/{sha(b'hello world')}"
    assert shared.http("GET", last.headers["location"]).body == b"hello world"
    assert shared.http("GET", place).status == 404


def test_an_upload_in_one_request(shared: Registry) -> None:
    place = shared.http("POST", "/v2/mono/blobs/uploads/", b"").headers["location"]
    assert shared.http("PUT", f"{place}?digest={sha(b'mono')}", b"mono").status == 201
    assert shared.http("POST", f"/v2/mono/blobs/uploads/?digest={sha(b'single')}", b"single").status == 201
    for content in (b"mono", b"single"):
        head = shared.http("HEAD", f"/v2/mono/blobs/{sha(content)}")
        assert (head.status, head.headers["content-length"], head.body) == (200, str(len(content)), b"")


def test_sha512(shared: Registry) -> None:
    digest = f"sha512:{hashlib.sha512(b'long').hexdigest()}"
    assert shared.http("POST", f"/v2/long/blobs/uploads/?digest={digest}", b"long").status == 201
    answer = shared.http("GET", f"/v2/long/blobs/{digest}")
    assert (answer.body, answer.headers["docker-content-digest"]) == (b"long", digest)


@pytest.mark.parametrize("digest", [sha(b"other"), "sha256:nonsense", "md5:d41d8cd98f00b204e9800998ecf8427e", ""])
def test_a_wrong_digest_keeps_nothing(shared: Registry, digest: str) -> None:
    before = shared.files()
    place = shared.http("POST", "/v2/bad/blobs/uploads/", b"").headers["location"]
    answer = shared.http("PUT", f"{place}?digest={digest}", b"this")
    assert (answer.status, code(answer)) == (400, "DIGEST_INVALID")
    shared.http("DELETE", place)
    if digest:
        assert shared.http("POST", f"/v2/bad/blobs/uploads/?digest={digest}", b"this").status == 400
    assert shared.files() == before
    assert shared.http("GET", "/v2/bad/tags/list").status == 404


def test_an_upload_that_is_given_up(shared: Registry) -> None:
    place = shared.http("POST", "/v2/gone/blobs/uploads/", b"").headers["location"]
    assert shared.http("DELETE", place).status == 204
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        answer = shared.http(method, f"{place}?digest={sha(b'')}", b"")
        assert (answer.status, method == "HEAD" or code(answer)) == (404, "BLOB_UPLOAD_UNKNOWN"), method
    other = place.replace("/gone/", "/other/")
    assert shared.http("GET", other).status == 404


def test_a_range_of_a_blob(shared: Registry) -> None:
    digest = push_blob(shared, "range", b"0123456789")
    path = f"/v2/range/blobs/{digest}"
    part = shared.http("GET", path, headers={"Range": "bytes=3-5"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"345", "bytes 3-5/10")
    assert shared.http("GET", path, headers={"Range": "bytes=7-"}).body == b"789"
    assert shared.http("GET", path, headers={"Range": "bytes=20-30"}).status == 416
    assert shared.http("GET", path).headers["accept-ranges"] == "bytes"


def test_a_mount(shared: Registry) -> None:
    digest = push_blob(shared, "from/here", b"shared bytes")
    mounted = shared.http("POST", f"/v2/to/there/blobs/uploads/?mount={digest}&from=from/here", b"")
    assert (mounted.status, mounted.headers["location"]) == (201, f"/v2/to/there/blobs/{digest}")
    assert shared.http("GET", f"/v2/to/there/blobs/{digest}").body == b"shared bytes"
    assert shared.http("POST", f"/v2/third/blobs/uploads/?mount={digest}", b"").status == 201
    for source in ("nowhere", "from/nothing"):
        begun = shared.http("POST", f"/v2/fourth/blobs/uploads/?mount={digest}&from={source}", b"")
        assert begun.status == 202 and begun.headers["location"].startswith("/v2/fourth/blobs/uploads/")


def test_a_manifest_by_tag_and_digest(shared: Registry) -> None:
    content = manifest_of(shared, "img", b"one")
    put = push(shared, "img", "v1", content)
    assert (put.status, put.headers["docker-content-digest"]) == (201, sha(content))
    for reference in ("v1", sha(content)):
        answer = shared.http("GET", f"/v2/img/manifests/{reference}")
        assert (answer.body, answer.headers["content-type"]) == (content, MANIFEST)
        head = shared.http("HEAD", f"/v2/img/manifests/{reference}")
        assert (head.headers["content-length"], head.body) == (str(len(content)), b"")
        assert head.headers["docker-content-digest"] == sha(content)
    unchanged = shared.http("GET", "/v2/img/manifests/v1", headers={"If-None-Match": answer.headers["etag"]})
    assert unchanged.status == 304
    assert push(shared, "img", sha(content), content).status == 201
    long = f"sha512:{hashlib.sha512(content).hexdigest()}"
    assert shared.http("GET", f"/v2/img/manifests/{long}").status == 404
    assert push(shared, "img", long, content).headers["docker-content-digest"] == long
    assert shared.http("GET", f"/v2/img/manifests/{long}").body == content
    assert push(shared, "img", f"sha512:{'0' * 128}", content).status == 400
    assert shared.http("DELETE", f"/v2/img/manifests/{long}").status == 202
    assert shared.http("GET", f"/v2/img/manifests/{sha(content)}").body == content


@pytest.mark.parametrize(
    ("reference", "change", "kind", "expected"),
    [
        ("t", {"config": None}, MANIFEST, (400, "MANIFEST_INVALID")),
        ("t", {"mediaType": INDEX}, MANIFEST, (400, "MANIFEST_INVALID")),
        ("t", {"schemaVersion": 1}, MANIFEST, (400, "MANIFEST_INVALID")),
        ("t", {"manifests": [NOWHERE]}, MANIFEST, (400, "MANIFEST_INVALID")),
        ("t", {}, "application/vnd.docker.distribution.manifest.v1+prettyjws", (400, "MANIFEST_INVALID")),
        ("t", {}, "text/plain", (400, "MANIFEST_INVALID")),
        ("t", {"layers": [NOWHERE]}, MANIFEST, (404, "MANIFEST_BLOB_UNKNOWN")),
        ("t", {"layers": [{**NOWHERE, "digest": "sha256:x"}]}, MANIFEST, (400, "DIGEST_INVALID")),
        (".bad", {}, MANIFEST, (400, "TAG_INVALID")),
        (sha(b"other"), {}, MANIFEST, (400, "DIGEST_INVALID")),
    ],
)
def test_a_manifest_that_is_refused(
    shared: Registry, reference: str, change: dict[str, object], kind: str, expected: tuple[int, str]
) -> None:
    content = json.loads(manifest_of(shared, "refused", b"one"))
    answer = push(shared, "refused", reference, json.dumps({**content, **change}).encode(), kind)
    assert (answer.status, code(answer)) == expected
    assert shared.http("GET", "/v2/refused/tags/list").body == b'{"name":"refused","tags":[]}'


def test_a_manifest_that_is_no_json_or_too_large(shared: Registry) -> None:
    for content, status in ((b"{", 400), (b"[" * 100000, 400), (b" " * ((4 << 20) + 1), 413)):
        assert push(shared, "refused", "t", content).status == status


def test_foreign_layers_need_not_be_here(shared: Registry) -> None:
    layer = {"mediaType": LAYER, "digest": sha(b"elsewhere"), "size": 9, "urls": ["https://elsewhere.test/x"]}
    content = json.loads(manifest_of(shared, "foreign", b"one"))
    assert push(shared, "foreign", "t", json.dumps({**content, "layers": [layer]}).encode()).status == 201


def test_an_index(shared: Registry) -> None:
    inner = pushed(shared, "multi", "inner")
    body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": MANIFEST, "digest": inner, "size": 1}]}
    assert push(shared, "multi", "all", json.dumps(body).encode(), INDEX).status == 201
    body["manifests"][0]["digest"] = sha(b"nowhere")  # type: ignore[index]
    answer = push(shared, "multi", "all", json.dumps(body).encode(), INDEX)
    assert (answer.status, code(answer)) == (404, "MANIFEST_BLOB_UNKNOWN")


def test_tags_page_by_page(shared: Registry) -> None:
    content = manifest_of(shared, "paged", b"one")
    for tag in ("b", "a", "C", "d", "1"):
        push(shared, "paged", tag, content)
    assert json.loads(shared.http("GET", "/v2/paged/tags/list").body)["tags"] == ["1", "C", "a", "b", "d"]
    first = shared.http("GET", "/v2/paged/tags/list?n=2")
    assert json.loads(first.body) == {"name": "paged", "tags": ["1", "C"]}
    assert first.headers["link"] == '</v2/paged/tags/list?n=2&last=C>; rel="next"'
    rest = shared.http("GET", "/v2/paged/tags/list?n=5&last=C")
    assert json.loads(rest.body)["tags"] == ["a", "b", "d"] and "link" not in rest.headers
    assert json.loads(shared.http("GET", "/v2/paged/tags/list?n=0").body)["tags"] == []
    assert code(shared.http("GET", "/v2/paged/tags/list?n=x")) == "PAGINATION_NUMBER_INVALID"
    assert code(shared.http("GET", "/v2/nowhere/tags/list")) == "NAME_UNKNOWN"


def test_the_catalog(own: Registry) -> None:
    assert json.loads(own.http("GET", "/v2/_catalog").body) == {"repositories": []}
    for name in ("b", "a/x", "c"):
        pushed(own, name, "t")
    page = own.http("GET", "/v2/_catalog?n=2")
    assert json.loads(page.body) == {"repositories": ["a/x", "b"]}
    assert page.headers["link"] == '</v2/_catalog?n=2&last=b>; rel="next"'
    assert json.loads(own.http("GET", "/v2/_catalog?n=2&last=b").body) == {"repositories": ["c"]}


def test_referrers(shared: Registry) -> None:
    subject = {"mediaType": MANIFEST, "digest": pushed(shared, "ref", "it"), "size": 1}
    made = {}
    for kind in ("application/x.sbom", "application/x.signature"):
        content = manifest_of(shared, "ref", kind.encode(), subject=subject, artifactType=kind, annotations={"k": kind})
        put = push(shared, "ref", sha(content), content)
        assert (put.status, put.headers["oci-subject"]) == (201, subject["digest"])
        made[kind] = {
            "mediaType": MANIFEST,
            "digest": sha(content),
            "size": len(content),
            "artifactType": kind,
            "annotations": {"k": kind},
        }
    path = f"/v2/ref/referrers/{subject['digest']}"
    answer = shared.http("GET", path)
    assert (answer.status, answer.headers["content-type"]) == (200, INDEX)
    found = json.loads(answer.body)
    assert found["mediaType"] == INDEX and "oci-filters-applied" not in answer.headers
    assert sorted(found["manifests"], key=str) == sorted(made.values(), key=str)
    filtered = shared.http("GET", f"{path}?artifactType=application/x.sbom")
    assert filtered.headers["oci-filters-applied"] == "artifactType"
    assert json.loads(filtered.body)["manifests"] == [made["application/x.sbom"]]
    assert json.loads(shared.http("GET", f"{path}?artifactType=none").body)["manifests"] == []


def test_referrers_of_what_is_not_here(shared: Registry) -> None:
    nowhere = {"mediaType": MANIFEST, "digest": sha(b"never pushed"), "size": 1}
    assert json.loads(shared.http("GET", f"/v2/early/referrers/{nowhere['digest']}").body)["manifests"] == []
    content = manifest_of(shared, "early", b"x", subject=nowhere)
    assert push(shared, "early", sha(content), content).headers["oci-subject"] == nowhere["digest"]
    found = json.loads(shared.http("GET", f"/v2/early/referrers/{nowhere['digest']}").body)["manifests"]
    assert [(each["digest"], each["artifactType"]) for each in found] == [(sha(content), CONFIG)]
    assert shared.http("GET", "/v2/early/referrers/sha256:x").status == 400
    shared.http("DELETE", f"/v2/early/manifests/{sha(content)}")
    assert json.loads(shared.http("GET", f"/v2/early/referrers/{nowhere['digest']}").body)["manifests"] == []


def test_many_referrers_page_by_page(own: Registry) -> None:
    subject = {"mediaType": MANIFEST, "digest": sha(b"it"), "size": 1}
    base = json.loads(manifest_of(own, "many", b"x", subject=subject))
    for number in range(20):
        content = json.dumps({**base, "annotations": {"big": f"{number:02}" * 200_000}}).encode()
        assert push(own, "many", sha(content), content).status == 201
    seen, path = [], f"/v2/many/referrers/{sha(b'it')}"
    while path:
        answer = own.http("GET", path)
        assert len(answer.body) <= 4 << 20
        seen += [each["digest"] for each in json.loads(answer.body)["manifests"]]
        path = answer.headers.get("link", "<").partition("<")[2].partition(">")[0]
    assert len(seen) == len(set(seen)) == 20


def test_deletes(own: Registry) -> None:
    digest = pushed(own, "del", "one")
    push(own, "del", "two", own.http("GET", f"/v2/del/manifests/{digest}").body)
    assert own.http("DELETE", "/v2/del/manifests/one").status == 202
    assert own.http("GET", "/v2/del/manifests/one").status == 404
    assert own.http("GET", "/v2/del/manifests/two").status == 200
    assert own.http("DELETE", f"/v2/del/manifests/{digest}").status == 202
    assert own.http("GET", "/v2/del/manifests/two").status == 404
    assert own.http("DELETE", f"/v2/del/manifests/{digest}").status == 404
    assert code(own.http("DELETE", "/v2/del/manifests/two")) == "MANIFEST_UNKNOWN"
    for content in (b"{}", b"layer"):
        assert own.http("DELETE", f"/v2/del/blobs/{sha(content)}").status == 202
        assert own.http("GET", f"/v2/del/blobs/{sha(content)}").status == 404
    assert code(own.http("DELETE", f"/v2/del/blobs/{sha(b'layer')}")) == "BLOB_UNKNOWN"
    assert own.files() == set()
    assert json.loads(own.http("GET", "/v2/_catalog").body) == {"repositories": []}


def test_bytes_stay_while_another_repository_has_them(own: Registry) -> None:
    digest = push_blob(own, "one", b"shared")
    push_blob(own, "two", b"shared")
    own.http("DELETE", f"/v2/one/blobs/{digest}")
    assert own.http("GET", f"/v2/two/blobs/{digest}").body == b"shared"


def test_names_that_are_none(shared: Registry) -> None:
    for name in ("Upper", "a//b", "-a", "a" * 256, "a%2e%2e%2fb", "a/../b", "%00"):
        for method, path in (("GET", "tags/list"), ("POST", "blobs/uploads/")):
            answer = shared.http(method, f"/v2/{name}/{path}")
            assert answer.status == 400 and code(answer) == "NAME_INVALID", (name, answer)
    refused = shared.http("PUT", "/v2/a/tags/list", b"")
    assert (refused.status, code(refused), refused.headers["allow"]) == (405, "UNSUPPORTED", "GET, HEAD")
    assert shared.http("GET", "/nothing").status == 404
    assert shared.http("GET", "/v2/a/blobs/sha256:x").status == 400


@contextlib.contextmanager
def half_an_upload(registry: Registry, place: str, content: bytes, announced: int) -> Iterator[None]:
    """A client that has sent the first part of its body, which is on the disk; at the end it dies."""
    host, port = registry.host.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        head = f"PATCH {place} HTTP/1.1\r\nHost: {registry.host}\r\nContent-Length: {announced}\r\n\r\n"
        client.sendall(head.encode() + content)
        eventually(lambda: offset(registry, place), lambda seen: seen == len(content))
        yield


def offset(registry: Registry, place: str) -> int:
    return int(registry.http("GET", place).headers["range"].partition("-")[2]) + 1


def test_an_upload_goes_on_after_a_kill(own: Registry) -> None:
    content = os.urandom(3 << 20)
    place = own.http("POST", "/v2/kill/blobs/uploads/", b"").headers["location"]
    assert own.http("PATCH", place, content[: 1 << 20]).status == 202
    own.stop(signal.SIGKILL)
    own.start()
    assert offset(own, place) == 1 << 20
    assert (
        own.http("PATCH", place, content[1 << 20 : 2 << 20], {"Content-Range": f"{1 << 20}-{(2 << 20) - 1}"}).status
        == 202
    )
    own.stop(signal.SIGTERM)
    own.start()
    assert own.http("PUT", f"{place}?digest={sha(content)}", content[2 << 20 :]).status == 201
    assert own.http("GET", f"/v2/kill/blobs/{sha(content)}").body == content


@pytest.mark.parametrize("hangs", [False, True])
def test_an_upload_goes_on_after_its_client_died(shared: Registry, hangs: bool) -> None:
    """Also when the registry has not noticed yet: the newer request is the one that counts."""
    content = os.urandom(3 << 20)
    place = shared.http("POST", "/v2/cut/blobs/uploads/", b"").headers["location"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(half_an_upload(shared, place, content[: 1 << 20], len(content)))
        if not hangs:
            stack.close()
        answer = shared.http("PATCH", place, content[1 << 20 :], {"Content-Range": f"{1 << 20}-{len(content) - 1}"})
        assert (answer.status, answer.headers["range"]) == (202, f"0-{len(content) - 1}")
        assert shared.http("PUT", f"{place}?digest={sha(content)}", b"").status == 201


def test_many_uploads_of_one_blob(shared: Registry) -> None:
    content = os.urandom(200_000)
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(
            lambda number: shared.http("POST", f"/v2/r{number % 5}/blobs/uploads/?digest={sha(content)}", content),
            range(100),
        )
        assert {answer.status for answer in answers} == {201}
    for number in range(5):
        assert shared.http("GET", f"/v2/r{number}/blobs/{sha(content)}").body == content


def test_uploads_that_were_given_up_are_removed(own: Registry) -> None:
    place = own.http("POST", "/v2/old/blobs/uploads/", b"").headers["location"]
    kept = own.http("POST", "/v2/old/blobs/uploads/", b"").headers["location"]
    own.stop()
    file = own.root / "uploads" / place.rsplit("/", 1)[1]
    os.utime(file, (time.time() - 90000,) * 2)
    (own.root / "blobs/sha256" / ("0" * 64)).write_bytes(b"of no row")
    (own.root / "uploads/manifest-1").write_bytes(b"of a kill")
    own.start()
    assert own.http("GET", kept).status == 204
    assert own.http("GET", place).status == 404
    assert own.files() == {f"uploads/{kept.rsplit('/', 1)[1]}"}
