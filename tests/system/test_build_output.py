"""What a build puts out: images, names, files, and the same bytes for the same inputs."""

import io
import json
import os
import shutil
import tarfile
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from harness.attestations import statements
from harness.daemon import Daemon
from harness.emulated import ARCHITECTURE, PLATFORM, Emulated
from harness.engine import BIN, Engine
from harness.real_packages import busybox_of
from harness.terminal import on_terminal

DOCKERFILE = """\
FROM busybox
COPY f /f
RUN mkdir /made && date >/made/now || true
RUN rm /made/now && echo x >/made/file
CMD ["cat", "/f"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "f").write_text("hello\n")
    (tmp_path / "context" / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path / "context"


def test_names_and_files_about_it(daemon: Engine, context: Path, tmp_path: Path) -> None:
    flags = ["-t", "made:a", "-t", "made:b", "--iidfile", f"{tmp_path}/id", "--metadata-file", f"{tmp_path}/meta"]
    image = daemon.cove("build", "-q", "--label", "x=y", *flags, str(context)).out.strip()
    assert (tmp_path / "id").read_text() == image
    meta = json.loads((tmp_path / "meta").read_text())
    assert meta["containerimage.config.digest"] == image
    assert meta["containerimage.descriptor"]["digest"] == meta["containerimage.digest"]
    names = daemon.docker("inspect", "-f", "{{.RepoTags}} {{.Config.Labels}}", image).out
    assert names == "[made:a made:b] map[x:y]\n"
    assert daemon.cove("build", "-q", "-t", "UPPER", str(context), check=False).code == 1


def test_files(daemon: Engine, context: Path, tmp_path: Path) -> None:
    daemon.cove("build", "-q", "-o", f"{tmp_path}/out", str(context))
    assert (tmp_path / "out" / "f").read_text() == "hello\n"
    assert not (tmp_path / "out" / "made" / "now").exists()
    daemon.cove("build", "-q", "-o", f"type=tar,dest={tmp_path}/out.tar", str(context))
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert "made/file" in archive.getnames()
    daemon.cove("build", "-q", "-t", "made:o", "-o", f"type=oci,dest={tmp_path}/oci.tar", str(context))
    with tarfile.open(tmp_path / "oci.tar") as archive:
        assert {"index.json", "oci-layout"} <= set(archive.getnames())
    assert daemon.cove("build", "-q", "-o", "type=cacheonly", str(context)).out.strip() == ""
    assert daemon.cove("build", "-q", "-o", "type=wrong", str(context), check=False).code == 1


def test_the_same_inputs_give_the_same_bytes(daemon: Engine, fresh_daemon: Daemon, context: Path) -> None:
    shutil.copy(shutil.which("busybox") or "", context / "sh")
    dockerfile = "FROM scratch\nCOPY sh /bin/\nCOPY f /to/f\nRUN echo x >/file\nWORKDIR /w\nENV a=b\n"
    (context / "Dockerfile").write_text(dockerfile)
    flags = ["--build-arg", "SOURCE_DATE_EPOCH=1000000000", "-o", "type=image,rewrite-timestamp=true"]
    made = [engine.cove("build", "-q", *flags, str(context)).out for engine in (daemon, fresh_daemon)]
    assert made[0] == made[1]
    created = daemon.docker("inspect", "-f", "{{.Created}}", made[0].strip()).out
    assert created == "2001-09-09T01:46:40Z\n"
    daemon.cove("build", "-q", *flags, "-o", f"type=tar,dest={context}/out.tar", str(context))
    with tarfile.open(context / "out.tar") as archive:
        times = {archive.getmember(name).mtime for name in ("to/f", "file", "w", "to", "bin/sh")}
    assert times == {1_000_000_000}


def test_times_of_several_platforms(daemon: Engine, fresh_daemon: Daemon, context: Path, tmp_path: Path) -> None:
    """Files and configurations of all of them, and the index: the same bytes on two daemons."""
    (context / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY f /$TARGETARCH/f\nWORKDIR /w\n")
    flags = ["--platform", "linux/amd64,linux/arm64", "--build-arg", "SOURCE_DATE_EPOCH=1000000000"]
    digests = []
    for engine in (daemon, fresh_daemon):
        place, meta = tmp_path / f"{engine.name}.tar", tmp_path / f"{engine.name}.json"
        image = ["-t", "made:times", "-o", "type=image,rewrite-timestamp=true", "--metadata-file", str(meta)]
        engine.cove("build", "-q", *flags, *image, str(context))
        digests.append(json.loads(meta.read_text())["containerimage.digest"])
        files = ["-o", "type=image,rewrite-timestamp=true", "-o", f"type=tar,dest={place}"]
        engine.cove("build", "-q", *flags, *files, str(context))
        with tarfile.open(place) as archive:
            members = {member.name: member.mtime for member in archive}
        assert {members[f"linux_{arch}/{arch}/f"] for arch in ("amd64", "arm64")} == {1_000_000_000}
        assert {members[f"linux_{arch}/w"] for arch in ("amd64", "arm64")} == {1_000_000_000}
        (context / "f").touch()
    assert digests[0] == digests[1]


def test_several_platforms(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text(
        'FROM scratch\nARG TARGETARCH TARGETVARIANT\nCOPY f /$TARGETARCH$TARGETVARIANT\nCMD ["/x"]\n'
    )
    daemon.cove("build", "-q", "-t", "made:p", "--platform", "linux/amd64,linux/arm64,linux/arm/v7", str(context))
    saved = daemon.http("GET", "/images/made:p/json?manifests=1").body
    assert b"amd64" in saved
    (context / "Dockerfile").write_text('FROM scratch\nCOPY f /f\nRUN ["/f"]\n')
    done = daemon.cove("build", "-q", "--platform", "linux/s390x", str(context), check=False)
    assert "linux/s390x" in done.err and "binfmt" in done.err


@pytest.mark.needs("emulator", "package-mirror")
def test_programs_of_another_processor_run_by_an_emulator(context: Path) -> None:
    daemon = Emulated(f"cove-test-{os.getpid()}-emulated")
    try:
        daemon.start()
        (context / "busybox").write_bytes(busybox_of(ARCHITECTURE))
        (context / "busybox").chmod(0o755)
        text = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nRUN /bin/busybox uname -m >/machine\n"
        (context / "Dockerfile").write_text(text + 'ENTRYPOINT ["/bin/busybox", "cat"]\n')
        daemon.cove("build", "-q", "-t", "made:foreign", "--platform", PLATFORM, str(context))
        assert daemon.docker("run", "--rm", "--platform", PLATFORM, "made:foreign", "/machine").out == "ppc64le\n"
        assert daemon.docker("inspect", "-f", "{{.Architecture}}", "made:foreign").out == "ppc64le\n"
    finally:
        daemon.close()


def test_annotations(daemon: Engine, context: Path, tmp_path: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY f /\n")
    said = ["plain=1", "manifest[linux/arm64]:arm=2", "index,manifest:both=3", "manifest-descriptor:about=4"]
    flags = [word for each in said for word in ("--annotation", each)]
    place = f"type=oci,dest={tmp_path}/oci.tar,annotation-index.attribute=5"
    daemon.cove("build", "-q", "-t", "made:an", "--platform=linux/amd64,linux/arm64", *flags, "-o", place, str(context))
    index, manifests = _layout(tmp_path / "oci.tar")
    assert index["annotations"] == {"both": "3", "attribute": "5"}
    by_architecture = {each["platform"]["architecture"]: each for each in index["manifests"]}
    assert by_architecture["arm64"]["annotations"] == {"about": "4"}
    told = {name: manifests[each["digest"]]["annotations"] for name, each in by_architecture.items()}
    assert told == {"amd64": {"plain": "1", "both": "3"}, "arm64": {"plain": "1", "arm": "2", "both": "3"}}
    done = daemon.cove("build", "--annotation", "wrong:a=b", str(context), check=False)
    assert 'unknown annotation type "wrong"' in done.err


def _layout(archive: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The only index of an OCI layout, and what it lists, by digest."""
    with tarfile.open(archive) as layout:

        def read(name: str) -> dict[str, Any]:
            file = layout.extractfile(name)
            assert file is not None
            found: dict[str, Any] = json.loads(file.read())
            return found

        def blob(digest: str) -> dict[str, Any]:
            return read(f"blobs/{digest.replace(':', '/')}")

        index = blob(read("index.json")["manifests"][0]["digest"])
        return index, {each["digest"]: blob(each["digest"]) for each in index["manifests"]}


def test_outputs_of_the_request(daemon: Engine, context: Path) -> None:
    """What another client than ours asks for by ``outputs``: images have the names there, and files are no answer."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        archive.add(context, ".")

    def asked(**output: Any) -> tuple[int, str]:
        query = urllib.parse.urlencode({"outputs": json.dumps([output])})
        answer = daemon.http("POST", f"/build?{query}", body.getvalue(), headers={"Content-Type": "application/x-tar"})
        return answer.status, answer.body.decode()

    assert asked(Type="image", Attrs={"name": "made:x,made:y"})[0] == 200
    assert daemon.docker("inspect", "-f", "{{.RepoTags}}", "made:y").out == "[made:x made:y]\n"
    assert "Successfully built" not in asked(Type="cacheonly")[1]
    for kind in ("local", "tar", "oci", "registry"):
        status, said = asked(Type=kind)
        assert status == 400 and f"type={kind} is written by cove build" in said
    assert "could not be found" in asked(Type="wrong")[1]


def test_the_time_of_the_environment(daemon: Engine, context: Path) -> None:
    argv = ("env", "SOURCE_DATE_EPOCH=1000000000", str(BIN / "cove"), "build", "-q", str(context))
    with daemon.spawned(*argv) as client:
        image = client.communicate()[0].decode().strip()
    assert daemon.docker("inspect", "-f", "{{.Created}}", image).out == "2001-09-09T01:46:40Z\n"


def test_progress_as_json(daemon: Engine, context: Path) -> None:
    told = [json.loads(line) for line in daemon.cove("build", "--progress", "rawjson", str(context)).err.splitlines()]
    vertices = {each["digest"]: each for status in told for each in status.get("vertexes") or ()}
    assert all(each["completed"] and not each.get("error") for each in vertices.values())
    assert any(each["name"].endswith("COPY f /f") for each in vertices.values())


HISTORY = """\
FROM scratch AS other
COPY f /
FROM scratch
ARG b=1 a=2
COPY --from=other --link f /f
COPY <<E f /d/
text
E
EXPOSE 80
HEALTHCHECK --interval=1m30s CMD ["/f"]
ONBUILD RUN true
CMD ["/f"]
"""


def test_the_history_is_worded_as_buildkit_does(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text(HISTORY)
    daemon.cove("build", "-q", "-t", "made:h", str(context))
    found = daemon.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", "made:h").out.splitlines()
    assert found[::-1] == [
        "ARG b=1 a=2",
        "COPY f /f # buildkit",
        "COPY f <<E /d/ # buildkit",
        "EXPOSE [80/tcp]",
        "HEALTHCHECK {Test:[CMD /f] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
        'CMD ["/f"]',
    ]
    config = json.loads(daemon.docker("inspect", "made:h").out)[0]["Config"]
    assert config["ArgsEscaped"] and config["OnBuild"] == ["RUN true"]


def test_squash(daemon: Engine, context: Path) -> None:
    daemon.cove("build", "-q", "-t", "made:sq", "--squash", str(context))
    layers = json.loads(daemon.docker("inspect", "made:sq").out)[0]["RootFS"]["Layers"]
    assert len(layers) == 2
    assert daemon.docker("run", "--rm", "made:sq", "sh", "-c", "cat /f; ls /made").out == "hello\nfile\n"


def test_attestations(daemon: Engine, context: Path, tmp_path: Path) -> None:
    status = (
        "Package: tool\nStatus: install ok installed\nVersion: 1.2-3\nArchitecture: amd64\n\nPackage: gone\nStatus: x\n"
    )
    (context / "status").write_text(status)
    for path, text in {
        "lib/some_library-3.1.dist-info/METADATA": "Name: Some_Library\nVersion: 3.1\n\nName: x\n",
        "lib/node_modules/@scope/thing/package.json": '{"name": "@scope/thing", "version": "1.0.0"}',
        "lib/package.json": '{"name": "the-app-itself", "version": "9"}',
    }.items():
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (context / path).write_text(text)
    (context / "Dockerfile").write_text("FROM busybox\nARG A\nCOPY status /var/lib/dpkg/\nCOPY lib /usr/lib/\n")
    flags = ["-t", "made:att", "--sbom=true", "--provenance=mode=max,version=v0.2", "--build-arg", "A=b"]
    daemon.cove("build", "-q", *flags, str(context))
    assert daemon.docker("run", "--rm", "made:att", "echo", "runs").out == "runs\n"
    daemon.docker("save", "-o", str(tmp_path / "saved.tar"), "made:att")
    said = statements(tmp_path / "saved.tar")
    provenance = said["https://slsa.dev/provenance/v0.2"]["predicate"]
    assert provenance["invocation"]["parameters"]["args"] == {"build-arg:A": "b"}
    assert provenance["materials"][0]["uri"].startswith("pkg:docker/busybox?platform=linux%2F")
    packages = said["https://spdx.dev/Document"]["predicate"]["packages"]
    assert [package["externalRefs"][0]["referenceLocator"] for package in packages] == [
        "pkg:deb/debian/tool@1.2-3?arch=amd64",
        "pkg:npm/%40scope/thing@1.0.0",
        "pkg:pypi/some-library@3.1",
    ]
    assert said["https://spdx.dev/Document"]["subject"][0]["name"].startswith("pkg:docker/made@att")


def test_provenance_of_both_modes(daemon: Engine, context: Path, tmp_path: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox AS end\nARG A\nCOPY f /\n")
    flags = ["-t", "made:prov", "--target=end", "--build-arg", "A=b", "--label", "l=m"]
    for mode, told in (("min", {}), ("max", {"build-arg:A": "b", "label:l": "m"})):
        daemon.cove("build", "-q", *flags, f"--attest=type=provenance,mode={mode}", str(context))
        daemon.docker("save", "-o", str(tmp_path / mode), "made:prov")
        predicate = statements(tmp_path / mode)["https://slsa.dev/provenance/v1"]["predicate"]
        definition, details = predicate["buildDefinition"], predicate["runDetails"]
        request = definition["externalParameters"]["request"]
        assert definition["externalParameters"]["configSource"] == {"path": "Dockerfile"}
        assert request["args"] == {**told, "target": "end"} and request["frontend"] == "dockerfile.v0"
        assert request["locals"] == [{"name": "context"}, {"name": "dockerfile"}]
        assert definition["internalParameters"]["builderPlatform"].startswith("linux/")
        (dependency,) = definition["resolvedDependencies"]
        assert dependency["uri"].startswith("pkg:docker/busybox?platform=linux%2F") and dependency["digest"]["sha256"]
        metadata = details["metadata"]
        assert details["builder"]["id"].startswith("cove ") and metadata["invocationId"]
        assert metadata["startedOn"] <= metadata["finishedOn"]
        assert metadata["buildkit_completeness"] == {"request": mode == "max", "resolvedDependencies": False}


def test_provenance_that_there_is_not(daemon: Engine, context: Path) -> None:
    for words in ("mode=most", "version=v3"):
        done = daemon.cove("build", f"--provenance={words}", str(context), check=False)
        assert done.code == 1 and "invalid provenance" in done.err


def test_attestations_have_the_time_of_the_environment(daemon: Engine, context: Path, tmp_path: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY f /\n")
    flags = ["-t", "made:at", "--sbom=true", "--provenance=true", "--build-arg", "SOURCE_DATE_EPOCH=1000000000"]
    digests = []
    for _ in range(2):
        daemon.cove("build", "-q", *flags, "--metadata-file", f"{tmp_path}/meta", str(context))
        digests.append(json.loads((tmp_path / "meta").read_text())["containerimage.digest"])
    assert digests[0] == digests[1]


def test_the_shell_has_what_the_step_had_mounted(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text(
        "FROM busybox AS other\nRUN mkdir /made && echo stage >/made/it\nFROM busybox\n"
        "RUN --mount=target=/c --mount=target=/one,source=f --mount=from=other,source=/made,target=/m "
        "--mount=type=cache,target=/cache --mount=type=tmpfs,target=/t,size=1m echo kept >/cache/it && false\n"
    )
    argv = [str(BIN / "cove"), "build", "--progress", "plain", "--debug", str(context)]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("A shell over what the step left")
        terminal.expect("/ #")
        terminal.send("cat /c/f /one /m/it /cache/it; df -k /t | tail -1; exit\r")
        terminal.expect("hello\r\nhello\r\nstage\r\nkept\r\n")
        terminal.expect(" 1024 ")
        assert terminal.wait() == 1
    assert daemon.docker("images", "-q", "-f", "dangling=true").out == ""


def test_a_shell_in_the_step_that_failed(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nENV A=b\nWORKDIR /w\nRUN echo left >file && false\n")
    argv = [str(BIN / "cove"), "build", "--progress", "plain", "--debug", str(context)]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("A shell over what the step left")
        terminal.expect("/w #")
        terminal.send("cat file; exit\r")
        terminal.expect("left")
        assert terminal.wait() == 1
    assert daemon.docker("images", "-q", "-f", "dangling=true").out == ""
