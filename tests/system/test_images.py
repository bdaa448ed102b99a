"""Images with the stock clients: import, load, save, tag, list, history, remove."""

import io
import json
import socket
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness.base_image import busybox_root, small_tar
from harness.daemon import Daemon
from harness.engine import Engine
from harness.file_server import file_server
from harness.lies import told
from harness.lying_registry import LyingRegistry, lying_registry
from harness.waiting import eventually


def import_tar(engine: Engine, directory: Path, name: str, files: dict[str, str], *flags: str) -> str:
    tar = directory / "root.tar"
    tar.write_bytes(small_tar(files))
    return engine.docker("import", *flags, str(tar), name).out.strip()


def test_import(daemon: Engine, tmp_path: Path) -> None:
    image = import_tar(daemon, tmp_path, "mine:1", {"file": "content"}, "-c", 'ENTRYPOINT ["/program"]', "-m", "why")
    assert image.startswith("sha256:")
    (seen,) = json.loads(daemon.docker("image", "inspect", "mine:1").out)
    assert seen["Id"] == image
    assert seen["RepoTags"] == ["mine:1"]
    assert seen["Config"]["Entrypoint"] == ["/program"]
    assert seen["Comment"] == "why"
    assert (seen["Os"], seen["Architecture"]) == ("linux", "amd64")
    assert len(seen["RootFS"]["Layers"]) == 1


def test_import_for_a_platform(daemon: Engine, tmp_path: Path) -> None:
    import_tar(daemon, tmp_path, "foreign:1", {"file": "content"}, "--platform", "linux/arm/v6")
    shown = daemon.docker("inspect", "-f", "{{.Os}}/{{.Architecture}}/{{.Variant}}", "foreign:1").out
    assert shown == "linux/arm/v6\n"
    words = ("import", "--platform", "linux/a/b/c", str(tmp_path / "root.tar"), "foreign:2")
    refused = daemon.docker(*words, check=False)
    assert refused.code == 1 and "invalid" in refused.err
    assert daemon.docker("images", "-q", "foreign:2").out == ""


@pytest.mark.parametrize("program", ["gzip", "xz", pytest.param("zstd", marks=pytest.mark.needs("cove"))])
def test_import_of_a_compressed_tar(daemon: Engine, tmp_path: Path, program: str) -> None:
    plain = import_tar(daemon, tmp_path, "plain", {"file": "x" * 100_000})
    packed = tmp_path / "packed"
    packed.write_bytes(subprocess.run([program, "-c", tmp_path / "root.tar"], check=True, capture_output=True).stdout)
    daemon.docker("import", str(packed), "packed")
    layers = "{{json .RootFS.Layers}}"
    assert daemon.docker("inspect", "-f", layers, "packed").out == daemon.docker("inspect", "-f", layers, plain).out


@pytest.mark.needs("cove")
def test_import_of_a_url(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(small_tar({"file": "content\n"}))
    with file_server(daemon, tmp_path) as url:
        out = daemon.docker("import", "-m", "why", f"{url}/root.tar", "fetched:1").out.splitlines()
        assert out[0] == f"Downloading from {url}/root.tar"
        assert daemon.docker("inspect", "-f", "{{.Id}} {{.Comment}}", "fetched:1").out.split() == [out[-1], "why"]
        answer = daemon.http("POST", f"/images/create?fromSrc={url.removeprefix('http://')}/root.tar")
        assert b'"status":"sha256:' in answer.body and b"Importing" in answer.body
        gone = daemon.docker("import", f"{url}/none", "gone", check=False)
        assert gone.code == 1 and f"failed to GET {url}/none with status 404" in gone.err
    refused = daemon.docker("import", f"{url}/root.tar", check=False)
    assert refused.code == 1 and f"failed to GET {url}/root.tar: dial tcp 127.0.0.1:" in refused.err
    assert refused.err.endswith(": connect: connection refused\n")
    answer = daemon.http("POST", "/images/create?fromSrc=file:///etc/passwd")
    assert answer.status == 400 and b"only http and https URLs" in answer.body


@pytest.mark.needs("cove")
def test_import_of_a_url_that_breaks_off_or_is_given_up(daemon: Engine) -> None:
    before = set((daemon.data_root / "tmp").iterdir()), set((daemon.data_root / "layers").iterdir())

    def nothing_is_kept() -> bool:
        return before == (set((daemon.data_root / "tmp").iterdir()), set((daemon.data_root / "layers").iterdir()))

    with lying_registry(daemon) as registry:
        broken = daemon.docker("import", _blob(registry, "truncated"), "broken", check=False)
        assert broken.code == 1 and "failed to GET" in broken.err
        assert nothing_is_kept()
        with daemon.spawned("docker", "import", _blob(registry, "stall"), "given-up"):
            eventually(lambda: registry.requests("stall"))
        eventually(nothing_is_kept)
    assert daemon.docker("images", "-q", "given-up").out == ""


def _blob(registry: LyingRegistry, lie: str) -> str:
    return f"http://{registry.host}/v2/{lie}/image/blobs/{told(f'{lie}/image').layer}"


def test_what_was_imported_runs(daemon: Engine, tmp_path: Path) -> None:
    import_tar(daemon, tmp_path, "data", {"dir/file": "content\n"})
    daemon.docker("create", "--name", "box", "data", "none")
    done = daemon.docker("start", "box", check=False)
    assert done.code == 1
    assert 'exec: "none": executable file not found in $PATH' in done.err


def test_save_and_load(daemon: Engine, tmp_path: Path) -> None:
    image = import_tar(daemon, tmp_path, "mine:1", {"file": "content"})
    daemon.docker("tag", "mine:1", "mine:2")
    daemon.docker("save", "-o", str(tmp_path / "saved.tar"), "mine:1", "mine:2")
    with tarfile.open(tmp_path / "saved.tar") as saved:
        manifest = json.load(saved.extractfile("manifest.json") or io.BytesIO())
        assert sorted(manifest[0]["RepoTags"]) == ["mine:1", "mine:2"]
    daemon.docker("rmi", "mine:1", "mine:2")
    assert daemon.docker("image", "inspect", "mine:1", check=False).code == 1
    out = daemon.docker("load", "-i", str(tmp_path / "saved.tar")).out
    assert set(out.splitlines()) == {"Loaded image: mine:1", "Loaded image: mine:2"}
    assert daemon.docker("image", "inspect", "-f", "{{.Id}}", "mine:2").out.strip() == image


@pytest.mark.needs("cove")
def test_a_save_is_a_stream(daemon: Daemon, tmp_path: Path) -> None:
    """It begins at once, waits for its reader, and takes no memory however large the image is."""
    size = 400 << 20
    image = import_tar(daemon, tmp_path, "large:1", {"file": "x" * size})
    (tmp_path / "root.tar").unlink()
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")  # begin the peak anew (proc_pid_clear_refs(5))
    before = _peak(daemon)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(daemon.socket))
        connection.sendall(f"GET /images/{image}/get HTTP/1.0\r\n\r\n".encode())
        first = connection.recv(1 << 16)
        assert first.startswith(b"HTTP/1.") and b"200 OK" in first
        read, events = len(first), daemon.http("GET", "/_ping").body
        assert events == b"OK"
        while piece := connection.recv(1 << 20):
            read += len(piece)
    assert read > size
    assert _peak(daemon) - before < 32 << 20
    daemon.docker("rmi", "large:1")


def _peak(daemon: Daemon) -> int:
    """Bytes."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


@pytest.mark.needs("cove")
def test_a_load_says_how_far_each_layer_is(daemon: Engine, tmp_path: Path) -> None:
    import_tar(daemon, tmp_path, "mine:1", {"file": "x" * 3_000_000})
    daemon.docker("save", "-o", str(tmp_path / "saved.tar"), "mine:1")
    (layer,) = json.loads(daemon.docker("image", "inspect", "mine:1").out)[0]["RootFS"]["Layers"]
    daemon.docker("rmi", "mine:1")
    answer = daemon.http("POST", "/images/load?quiet=0", (tmp_path / "saved.tar").read_bytes())
    lines = [json.loads(line) for line in answer.body.splitlines()]
    told = [line["progressDetail"] for line in lines if line.get("id") == layer.removeprefix("sha256:")[:12]]
    assert told and all(each["total"] >= 3_000_000 for each in told)
    assert [each["current"] for each in told] == sorted(each["current"] for each in told)
    quiet = daemon.http("POST", "/images/load?quiet=1", (tmp_path / "saved.tar").read_bytes())
    assert [json.loads(line) for line in quiet.body.splitlines()] == [{"stream": "Loaded image: mine:1\n"}]


def test_saved_by_id_loads_without_a_name(daemon: Engine, tmp_path: Path) -> None:
    image = import_tar(daemon, tmp_path, "mine:1", {"file": "content"})
    daemon.docker("save", "-o", str(tmp_path / "saved.tar"), image)
    daemon.docker("rmi", "mine:1")
    assert daemon.docker("load", "-i", str(tmp_path / "saved.tar")).out == f"Loaded image ID: {image}\n"


@pytest.mark.parametrize("damage", ["truncated", "no tar", "empty"])
def test_load_of_what_is_no_image(daemon: Engine, tmp_path: Path, damage: str) -> None:
    import_tar(daemon, tmp_path, "mine:1", {"file": "x" * 100_000})
    saved = tmp_path / "saved.tar"
    daemon.docker("save", "-o", str(saved), "mine:1")
    daemon.docker("rmi", "mine:1")
    content = {"truncated": saved.read_bytes()[:60_000], "no tar": b"x" * 5000, "empty": b""}[damage]
    saved.write_bytes(content)
    done = daemon.docker("load", "-i", str(saved), check=False)
    assert done.code == 1 or "Loaded" not in done.out
    assert daemon.docker("image", "inspect", "mine:1", check=False).code == 1


def test_list(daemon: Engine, tmp_path: Path) -> None:
    image = import_tar(daemon, tmp_path, "mine:1", {"file": "content"}, "-c", "LABEL tier=web")
    daemon.docker("tag", "mine:1", "example.test:5000/team/mine:2")
    rows = daemon.docker("images", "--format", "{{.Repository}} {{.Tag}} {{.ID}}").out.splitlines()
    short = image.removeprefix("sha256:")[:12]
    assert {f"mine 1 {short}", f"example.test:5000/team/mine 2 {short}"} <= set(rows)
    assert daemon.docker("images", "-q", "mine").out.split() == [short]
    assert daemon.docker("images", "-q", "--filter", "label=tier=web").out.split() == [short, short]
    assert daemon.docker("images", "-q", "--filter", "reference=*/team/*").out.split() == [short]


def test_bytes_that_images_share(daemon: Engine, tmp_path: Path) -> None:
    """They are told to who asks for them; without, -1 says that nobody counted."""
    import_tar(daemon, tmp_path, "below:1", {"file": "x" * 100_000})
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text("FROM below:1\nCOPY Dockerfile /\n")
    daemon.docker("build", "-q", "-t", "above:1", str(tmp_path / "context"))
    import_tar(daemon, tmp_path, "alone:1", {"other": "y" * 50_000})

    def shared(target: str) -> dict[str, int]:
        found = daemon.http("GET", target).json()
        return {each["RepoTags"][0]: each["SharedSize"] for each in found if each["RepoTags"]}

    sizes = shared("/images/json?shared-size=1")
    assert sizes["below:1"] == sizes["above:1"] >= 100_000 and sizes["alone:1"] == 0
    assert set(shared("/images/json").values()) == {-1}
    daemon.docker("rmi", "above:1")


def test_dangling(daemon: Engine, tmp_path: Path) -> None:
    first = import_tar(daemon, tmp_path, "mine", {"file": "1"})
    second = import_tar(daemon, tmp_path, "mine", {"file": "2"})
    dangling = ("images", "-q", "--no-trunc", "--filter", "dangling=true")
    assert daemon.docker(*dangling).out.split() == [first]
    assert daemon.docker("inspect", "-f", "{{.Id}}", "mine").out.strip() == second
    assert first in daemon.docker("image", "prune", "-f").out
    assert daemon.docker(*dangling).out == ""


def test_history(daemon: Engine, tmp_path: Path) -> None:
    import_tar(daemon, tmp_path, "mine", {"file": "content"}, "-m", "from somewhere")
    assert daemon.docker("history", "--format", "{{.Comment}}", "mine").out == "from somewhere\n"


def test_remove_of_one_name_keeps_the_other(daemon: Engine, tmp_path: Path) -> None:
    image = import_tar(daemon, tmp_path, "mine:1", {"file": "content"})
    daemon.docker("tag", "mine:1", "mine:2")
    assert daemon.docker("rmi", "mine:1").out == "Untagged: mine:1\n"
    out = daemon.docker("rmi", "mine:2").out.splitlines()
    assert out[:2] == ["Untagged: mine:2", f"Deleted: {image}"]


def test_remove_by_id_of_what_has_two_names(daemon: Engine, tmp_path: Path) -> None:
    image = import_tar(daemon, tmp_path, "mine:1", {"file": "content"})
    daemon.docker("tag", "mine:1", "other:1")
    done = daemon.docker("rmi", image, check=False)
    assert done.code == 1
    assert "must be forced" in done.err
    assert f"Deleted: {image}" in daemon.docker("rmi", "-f", image).out


def test_remove_of_what_a_container_uses(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    done = daemon.docker("rmi", "busybox", check=False)
    assert done.code == 1
    assert "conflict: unable to remove repository reference" in done.err
    assert daemon.docker("image", "inspect", "busybox").code == 0


def test_no_such_image(daemon: Engine) -> None:
    for command in (("rmi", "nonesuch"), ("tag", "nonesuch", "x"), ("history", "nonesuch")):
        done = daemon.docker(*command, check=False)
        assert done.code == 1
        assert "No such image: nonesuch" in done.err


def test_words_of_dockers_for_what_cannot_be(daemon: Engine) -> None:
    """The same from the real engine (``"a/b/c/d": cannot parse …``)."""
    for query, message in (
        ("fromImage=x&tag=-bad", "invalid tag format"),
        ("fromImage=x&platform=a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'),
    ):
        answer = daemon.http("POST", f"/images/create?{query}")
        assert (answer.status, answer.json()) == (400, {"message": message})


def test_name_that_is_none(daemon: Engine) -> None:
    done = daemon.docker("tag", "busybox", "Not A Name", check=False)
    assert done.code == 1
    assert "reference" in done.err.lower()


def test_layers_are_shared(daemon: Engine, tmp_path: Path) -> None:
    tar = tmp_path / "root.tar"
    tar.write_bytes(busybox_root())
    first = daemon.docker("import", "-c", "ENV A=1", str(tar), "one").out
    second = daemon.docker("import", "-c", "ENV A=2", str(tar), "two").out
    assert first != second
    daemon.docker("rmi", "one")
    assert daemon.docker("run", "--rm", "two", "sh", "-c", "echo $A").out == "2\n"
    daemon.docker("rmi", "two")
    assert daemon.docker("run", "--rm", "busybox", "echo", "still here").out == "still here\n"


@pytest.mark.needs("cove")  # Docker 20.10 answers with an error too, but leaves the layer's directory
@pytest.mark.parametrize("name", ["../escape", "dir/../../../../escape"])
def test_hostile_names_are_refused(daemon: Engine, tmp_path: Path, name: str) -> None:
    tar = tmp_path / "root.tar"
    tar.write_bytes(small_tar({"before": "x", name: "x"}))
    done = daemon.docker("import", str(tar), "hostile", check=False)
    assert done.code == 1
    assert name in done.err
    assert not list(daemon.base.rglob("escape"))
    assert not Path("/escape").exists()


def test_sdk(daemon: Engine) -> None:
    image = daemon.sdk.images.get("busybox")
    assert image.tags == ["busybox:latest"]
    assert b"".join(image.save(named=True))[257:262] == b"ustar"
