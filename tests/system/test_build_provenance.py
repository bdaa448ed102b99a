"""What provenance says of a build: the graph, the repository of the context, and what was fetched."""

import base64
import hashlib
import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.attestations import statements
from harness.engine import Engine
from harness.file_server import file_server


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "f").write_text("hello\n")
    return tmp_path / "context"


def _provenance(engine: Engine, place: Path, *words: str) -> dict[str, Any]:
    """The predicate of a build of these words."""
    engine.cove("build", "-q", "-t", "made:prov", *words)
    engine.docker("save", "-o", str(place), "made:prov")
    predicate: dict[str, Any] = statements(place)["https://slsa.dev/provenance/v1"]["predicate"]
    return predicate


def test_provenance_has_the_graph(daemon: Engine, context: Path, tmp_path: Path) -> None:
    """In the shape of BuildKit's: what each step is, of which steps, in which line, and what layers it has."""
    text = (
        "FROM busybox AS made\nARG A=1\nUSER 7\nWORKDIR /w\nRUN --mount=target=/c,source=f echo $A >/tmp/x\n"
        "FROM busybox\nCOPY --from=made --chown=5 --chmod=600 /tmp/x /y/\nCOPY <<EOF /z/\nhere\nEOF\n"
    )
    (context / "Dockerfile").write_text(text)
    predicate = _provenance(daemon, tmp_path / "max", "--provenance=mode=max", str(context))
    config = predicate["buildDefinition"]["internalParameters"]["buildConfig"]
    steps = {step["id"]: step for step in config["llbDefinition"]}
    kinds = [next(iter(step["op"]["Op"]), "") for step in steps.values()]
    assert sorted(kinds) == ["", "exec", "file", "file", "file", "source", "source"]
    assert list(steps) == [f"step{number}" for number in range(7)] and set(config["digestMapping"].values()) == set(
        steps
    )
    (run,) = (step for step in steps.values() if "exec" in step["op"]["Op"])
    meta = run["op"]["Op"]["exec"]["meta"]
    assert meta["args"] == ["/bin/sh", "-c", "echo $A >/tmp/x"] and meta["cwd"] == "/w" and meta["user"] == "7"
    assert "A=1" in meta["env"] and run["op"]["Op"]["exec"]["mounts"][1]["dest"] == "/c"
    assert [next(iter(steps[name.partition(":")[0]]["op"]["Op"])) for name in run["inputs"]] == ["file", "source"]
    metadata = predicate["runDetails"]["metadata"]["buildkit_metadata"]
    assert base64.b64decode(metadata["source"]["infos"][0]["data"]).decode() == text
    start = metadata["source"]["locations"][run["id"]]["locations"][0]["ranges"][0]["start"]
    assert start == {"line": 5}
    counts = [len(layers[0]) for layers in metadata["layers"].values()]
    assert counts == [1, 2, 3]
    least = _provenance(daemon, tmp_path / "min", "--provenance=mode=min", str(context))
    assert "buildConfig" not in least["buildDefinition"]["internalParameters"]
    assert least["runDetails"]["metadata"]["buildkit_metadata"] == {}


def test_provenance_has_owners_of_directories_and_names_of_contexts(
    daemon: Engine, context: Path, tmp_path: Path
) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nCOPY f /\nCOPY --from=build-tools f /g\nUSER 7:8\nWORKDIR /w\n")
    predicate = _provenance(
        daemon, tmp_path / "max", "--provenance=mode=max", "--build-context", f"build-tools={context}", str(context)
    )
    steps = predicate["buildDefinition"]["internalParameters"]["buildConfig"]["llbDefinition"]
    operations = [step["op"]["Op"] for step in steps]
    sources = {each["source"]["identifier"].partition("@")[0] for each in operations if "source" in each}
    assert {"local://context", "local://build-tools"} < sources
    made = [each["file"]["actions"][0]["Action"].get("mkdir") for each in operations if "file" in each]
    assert [each["owner"] for each in made if each] == ["7:8"]


@pytest.mark.needs("git")
def test_provenance_has_the_repository(daemon: Engine, tmp_path: Path) -> None:
    top = tmp_path / "repository"
    (top / "sub").mkdir(parents=True)
    (top / "sub/Dockerfile").write_text("FROM busybox\n")
    run = partial(subprocess.run, check=True, capture_output=True, text=True)
    as_somebody = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    run(["git", "-C", top, "init", "-q"])
    run(["git", "-C", top, "add", "."])
    run(["git", "-C", top, *as_somebody, "commit", "-qm", "x"])
    run(["git", "-C", top, "remote", "add", "origin", "https://user:secret@example.com/team/it.git"])
    commit = run(["git", "-C", top, "rev-parse", "HEAD"]).stdout.strip()
    predicate = _provenance(daemon, tmp_path / "saved", "--provenance=true", str(top / "sub"))
    assert predicate["runDetails"]["metadata"]["buildkit_metadata"]["vcs"] == {
        "localdir:context": "sub",
        "revision": commit,
        "source": "https://example.com/team/it.git",
    }
    assert "secret" not in json.dumps(predicate)


@pytest.mark.needs("git")
def test_provenance_has_what_was_fetched(daemon: Engine, context: Path, tmp_path: Path) -> None:
    """Files and repositories by their digests, of ADD and as contexts, without passwords; cached or not."""
    served_files = tmp_path / "served"
    served_files.mkdir()
    (served_files / "file").write_text("fetched\n")
    (served_files / "other").write_text("other\n")
    run = partial(subprocess.run, check=True, capture_output=True, text=True)
    as_somebody = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    run(["git", "-C", served_files, "init", "-q", "work"])
    (served_files / "work/Dockerfile").write_text("FROM busybox\nRUN echo x >/x\n")
    run(["git", "-C", served_files / "work", "add", "."])
    run(["git", "-C", served_files / "work", *as_somebody, "commit", "-qm", "x"])
    run(["git", "clone", "-q", "--bare", served_files / "work", served_files / "it.git"])
    run(["git", "-C", served_files / "it.git", "update-server-info"])
    commit = run(["git", "-C", served_files / "work", "rev-parse", "HEAD"]).stdout.strip()
    digest = hashlib.sha256(b"fetched\n").hexdigest()
    with file_server(daemon, served_files) as url:
        named = url.replace("http://", "http://somebody:secret@")
        token = url.replace("http://", "http://secret@")
        (context / "Dockerfile").write_text(
            f"FROM busybox\nADD {named}/file /\nADD {token}/other /\nADD {url}/it.git /r/\n"
        )
        for _ in range(2):
            predicate = _provenance(daemon, tmp_path / "saved", "--provenance=mode=max", str(context))
            assert "secret" not in json.dumps(predicate["buildDefinition"])
            found = {each["uri"]: each["digest"] for each in predicate["buildDefinition"]["resolvedDependencies"][1:]}
            assert found == {
                f"{url}/file": {"sha256": digest},
                f"{url}/other": {"sha256": hashlib.sha256(b"other\n").hexdigest()},
                f"{url}/it.git": {"sha1": commit},
            }
        predicate = _provenance(daemon, tmp_path / "saved", "--provenance=true", f"{token}/it.git")
        assert "secret" not in json.dumps(predicate)
        parameters = predicate["buildDefinition"]["externalParameters"]
        assert parameters["configSource"] == {
            "uri": f"{url}/it.git",
            "digest": {"sha1": commit},
            "path": "Dockerfile",
        }
        assert "locals" not in parameters["request"]
        dependencies = predicate["buildDefinition"]["resolvedDependencies"]
        assert {"uri": f"{url}/it.git", "digest": {"sha1": commit}} in dependencies
