"""A base image from a mirror, from the signature to the tar; and what a mirror may try."""

import asyncio
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cove.errors import CoveError, InvalidArgument, NotFound, Unavailable
from cove.images.bootstrap import Options, Progress, Root, remove_stale, run
from cove.images.bootstrap.machine import Machine
from cove.images.changes import apply as apply_changes
from cove.oci.image import Config
from harness.debian_mirror import APPLETS, MADE, DebianMirror, Package, busybox_entries, entry, make_deb, regular
from harness.openpgp import SHA1, make_key

OWNER, STRANGER = make_key("The archive <archive@test>"), make_key("A stranger <stranger@test>")
NAME, VERSION = "busybox-static", "1:1.35.0-4"


@pytest.fixture
def mirror(tmp_path: Path) -> DebianMirror:
    """A mirror with one package, not published yet."""
    made = DebianMirror(tmp_path / "mirror", OWNER)
    made.add(NAME, VERSION, busybox_entries())
    return made


@pytest.fixture
def machine(tmp_path: Path, mirror: DebianMirror) -> Machine:
    """A machine whose apt uses the mirror."""
    etc = tmp_path / "etc"
    (etc / "apt" / "sources.list.d").mkdir(parents=True)
    (tmp_path / "archive.gpg").write_bytes(OWNER.keyring())
    made = Machine(etc, "gadget", "amd64")
    use(made, mirror, signed_by=str(tmp_path / "archive.gpg"))
    return made


def use(machine: Machine, mirror: DebianMirror, signed_by: str = "", more: str = "") -> None:
    key = f"Signed-By: {signed_by}\n" if signed_by else ""
    text = f"Types: deb\nURIs: file:{mirror.root}\nSuites: {mirror.suite}\nComponents: main\n{key}{more}"
    (machine.etc / "apt" / "sources.list.d" / "test.sources").write_text(text)


def bootstrap(machine: Machine, tmp_path: Path, seen: list[Progress] | None = None, **options: str) -> Root:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    report: Callable[[Progress], None] = (seen if seen is not None else []).append
    return asyncio.run(run("busybox", Options(machine=machine, work_dir=work, **options), report))


def refused(machine: Machine, tmp_path: Path, kind: type[CoveError] = Unavailable, **options: str) -> str:
    """The message of the failure, which leaves nothing behind."""
    with pytest.raises(kind) as caught:
        bootstrap(machine, tmp_path, **options)
    assert not list((tmp_path / "work").iterdir())
    return caught.value.message


def test_root_has_the_program_its_applets_and_the_files_that_programs_expect(
    mirror: DebianMirror, machine: Machine, tmp_path: Path
) -> None:
    mirror.publish()
    with bootstrap(machine, tmp_path) as root, tarfile.open(root.tar) as tar:
        names = tar.getnames()
        assert names == sorted(names)
        assert {f"bin/{applet}" for applet in APPLETS} <= set(names)
        program = tar.extractfile("bin/sh")
        assert program and program.read().startswith(b"#!/bin/sh")
        assert tar.getmember("bin/busybox").mode == 0o755
        assert tar.getmember("usr/bin/env").linkname == "../../bin/env"
        assert tar.getmember("tmp").mode == 0o1777
        assert tar.getmember("root").mode == 0o700
        assert {"etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/shadow", "dev", "proc", "sys"} <= set(names)
        assert "usr/share/doc/busybox-static/copyright" in names
        assert "usr/share/doc/busybox-static/README" not in names
        assert {member.mtime for member in tar} == {MADE}
        assert {(member.uid, member.gid, member.uname) for member in tar} == {(0, 0, "")}


def test_same_package_gives_the_same_image(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish()
    with bootstrap(machine, tmp_path) as one, bootstrap(machine, tmp_path) as other:
        assert one.tar.read_bytes() == other.tar.read_bytes()
        assert one.diff_id == other.diff_id
        assert msgspec.json.encode(one.image_config()) == msgspec.json.encode(other.image_config())
    assert not list((tmp_path / "work").iterdir())


def test_configuration(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish()
    with bootstrap(machine, tmp_path) as root:
        config = root.image_config()
        assert config.config and config.config.cmd == ["sh"]
        assert config.config.env == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        assert config.config.labels == {
            "cove.bootstrap.packages": f"{NAME}={VERSION}",
            "cove.bootstrap.recipe": "busybox",
            "cove.bootstrap.snapshot": "gadget=2022-04-15T05:20:00Z",
        }
        assert (config.created, config.architecture, config.os) == ("2022-04-15T05:20:00Z", "amd64", "linux")
        assert config.rootfs.diff_ids == [root.diff_id]
        assert apply_changes(Config(), root.changes()) == config.config
        assert root.size == root.tar.stat().st_size


def test_chunks_are_the_tar(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    async def read(root: Root) -> bytes:
        return b"".join([chunk async for chunk in root.chunks()])

    mirror.publish()
    with bootstrap(machine, tmp_path) as root:
        assert asyncio.run(read(root)) == root.tar.read_bytes()


def test_what_a_killed_daemon_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "bootstrap-abc").mkdir()
    (tmp_path / "bootstrap-abc" / "root.tar").touch()
    (tmp_path / "blob-abc").touch()
    remove_stale(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["blob-abc"]


def test_stopping_it_leaves_nothing(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    async def stop_when(status: str) -> None:
        def report(progress: Progress) -> None:
            if progress.status == status:
                task.cancel()

        task = asyncio.create_task(run("busybox", Options(machine=machine, work_dir=tmp_path / "work"), report))
        with pytest.raises(asyncio.CancelledError):
            await task

    mirror.publish()
    (tmp_path / "work").mkdir()
    for status in ("Reading release", "Download complete", "Unpacking"):
        asyncio.run(stop_when(status))
        assert not list((tmp_path / "work").iterdir())


def test_over_http_with_progress(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish()
    seen: list[Progress] = []
    with mirror.served() as url, bootstrap(machine, tmp_path, seen, mirror=url):
        size = len(mirror.packages[0].content)
        assert Progress("Signature verified", "gadget") in seen
        assert Progress("Download complete", f"{NAME} {VERSION}", size, size) in seen


def test_by_hash_is_preferred(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.fields["Acquire-By-Hash"] = "yes"
    mirror.publish()
    by_hash = mirror.index.parent / "by-hash" / "SHA256"
    by_hash.mkdir(parents=True)
    digest = (mirror.dists / "InRelease").read_text().split("SHA256:\n ")[1].split()[0]
    mirror.index.rename(by_hash / digest)
    bootstrap(machine, tmp_path).close()


@pytest.mark.parametrize("compression", ["gz", ""])
def test_index_of_other_compressions(compression: str, mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.compression = compression
    mirror.publish()
    bootstrap(machine, tmp_path).close()


def test_detached_signature(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish_detached()
    bootstrap(machine, tmp_path).close()
    release = mirror.dists / "Release"
    release.write_text(release.read_text().replace("Origin: Test", "Origin: Fake"))
    assert "BAD signature" in refused(machine, tmp_path)


def test_newest_version_of_the_release_and_its_security_fixes(
    mirror: DebianMirror, machine: Machine, tmp_path: Path
) -> None:
    mirror.publish()
    fixes = DebianMirror(tmp_path / "fixes", OWNER, "gadget-security")
    fixes.add(NAME, "1:1.35.0-4+deb12u1", busybox_entries("./usr/bin/busybox"))
    fixes.publish()
    line = f"deb [signed-by={tmp_path}/archive.gpg] file:{fixes.root} gadget-security main\n"
    (machine.etc / "apt" / "sources.list").write_text(line)
    with bootstrap(machine, tmp_path) as root:
        assert root.packages == {NAME: "1:1.35.0-4+deb12u1"}
    with bootstrap(machine, tmp_path, suite="gadget") as root:
        assert root.packages == {NAME: VERSION}


@pytest.mark.parametrize("where", ["inline", "armored", "trusted", "option", "fingerprint"])
def test_places_of_the_key(where: str, mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish()
    apt = machine.etc / "apt"
    (apt / "trusted.gpg.d").mkdir()
    (apt / "trusted.gpg.d" / "stranger.gpg").write_bytes(STRANGER.keyring())
    armored = OWNER.armored_keyring()
    (tmp_path / "a key.asc").write_text(armored)
    options = {"keyring": str(tmp_path / "a key.asc")} if where == "option" else {}
    signed_by = ""
    if where == "inline":
        signed_by = "\n" + "\n".join(f" {line or '.'}" for line in armored.rstrip().split("\n"))
    elif where == "armored":
        (tmp_path / "archive.asc").write_text(armored)
        signed_by = f"{tmp_path}/archive.asc"
    elif where in ("trusted", "fingerprint"):
        (apt / "trusted.gpg.d" / "owner.asc").write_text(armored)
        signed_by = OWNER.fingerprint if where == "fingerprint" else ""
    use(machine, mirror, signed_by)
    bootstrap(machine, tmp_path, **options).close()


# What a mirror, or whoever stands between, may try.


def test_unsigned_release(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    (mirror.dists).mkdir(parents=True)
    (mirror.dists / "Release").write_text(mirror.write_index())
    assert refused(machine, tmp_path).endswith("/Release is not signed")
    (mirror.dists / "InRelease").write_text(mirror.write_index())
    assert "is not one signed message" in refused(machine, tmp_path)


def test_release_signed_with_another_key(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.key = STRANGER
    mirror.publish()
    message = refused(machine, tmp_path)
    assert message.startswith(f"signature of file:{mirror.root}/dists/gadget/InRelease is not valid: gpgv: ")
    assert "No public key" in message


def test_key_that_may_not_sign_this_archive(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    """A trusted key, but not the one that Signed-By names."""
    mirror.publish()
    parts = machine.etc / "apt" / "trusted.gpg.d"
    parts.mkdir()
    (parts / "owner.gpg").write_bytes(OWNER.keyring())
    use(machine, mirror, signed_by=STRANGER.fingerprint)
    assert f"key {OWNER.fingerprint} is not one of those that Signed-By names" in refused(machine, tmp_path)


def test_signature_with_a_weak_hash(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish()
    (mirror.dists / "InRelease").write_bytes(OWNER.clearsign(mirror.write_index(), SHA1))
    assert "hash that is too weak" in refused(machine, tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Origin: Test", "Origin: Fake"),
        ("-----BEGIN PGP SIGNED", "Origin: Fake\n\n-----BEGIN PGP SIGNED"),
        ("-----END PGP SIGNATURE-----", "-----END PGP SIGNATURE-----\nOrigin: Fake"),
        ("\n-----BEGIN PGP SIGNATURE", "\n-----BEGIN PGP SIGNED MESSAGE-----\n\nx\n-----BEGIN PGP SIGNATURE"),
    ],
)
def test_release_that_was_changed(old: str, new: str, mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish()
    release = mirror.dists / "InRelease"
    release.write_text(release.read_text().replace(old, new))
    assert "is not valid" in refused(machine, tmp_path)


def test_expired_release(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.fields["Valid-Until"] = "Fri, 22 Apr 2022 05:20:00 UTC"
    mirror.publish()
    assert refused(machine, tmp_path).endswith("InRelease is expired: it was valid until 2022-04-22 05:20:00 UTC")
    lenient = replace(machine, settings={"acquire::check-valid-until": "false"})
    bootstrap(lenient, tmp_path).close()
    use(machine, mirror, f"{tmp_path}/archive.gpg", "Check-Valid-Until: no\n")
    bootstrap(machine, tmp_path).close()
    use(machine, mirror, f"{tmp_path}/archive.gpg", "Check-Valid-Until: yes\n")
    assert "is expired" in refused(lenient, tmp_path)


def test_release_of_another_suite(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.fields["Codename"] = "old"
    mirror.publish()
    assert "is of another suite: old, not gadget" in refused(machine, tmp_path)


def test_index_that_was_changed(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish()
    good = mirror.index.read_bytes()
    mirror.index.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    message = refused(machine, tmp_path)
    assert "hash of" in message and "expected sha256 " in message and ", got " in message
    mirror.index.write_bytes(good + b"more")
    assert "size of" in refused(machine, tmp_path)


def test_package_that_was_changed(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish()
    package = mirror.packages[0]
    other = make_deb(NAME, VERSION, "amd64", [regular("./bin/busybox", b"evil")])
    path = mirror.root / package.filename
    path.write_bytes(other.ljust(len(package.content), b"\n")[: len(package.content)])
    message = refused(machine, tmp_path)
    assert message.startswith(f"hash of file:{path} is wrong: expected sha256 ")
    path.write_bytes(package.content[:-7])
    size = len(package.content)
    assert refused(machine, tmp_path) == (f"size of file:{path} is wrong: expected {size} bytes, got {size - 7}")
    path.unlink()
    assert "is missing, though the index lists it" in refused(machine, tmp_path)


def publish(mirror: DebianMirror, content: bytes, **lies: str) -> None:
    """Only this package, and these lies about it."""
    mirror.packages.clear()
    mirror.add_file(Package(NAME, VERSION, "amd64", content, lies))
    mirror.publish()


def test_truncated_package(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    """Truncated before the index was made: size and hash are right."""
    publish(mirror, mirror.packages[0].content[:-40])
    assert "is truncated: data.tar.xz" in refused(machine, tmp_path)


def test_another_package_in_its_place(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    publish(mirror, make_deb(NAME, "1:1.0-1", "amd64", busybox_entries()))
    assert "is another package: busybox-static 1:1.0-1 amd64" in refused(machine, tmp_path)


@pytest.mark.parametrize("path", ["../etc/passwd", "./bin/../../x", "/etc/passwd"])
def test_path_out_of_the_root(path: str, mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    publish(mirror, make_deb(NAME, VERSION, "amd64", [*busybox_entries(), regular(path, b"x")]))
    assert "leads out of the root" in refused(machine, tmp_path)


def test_program_that_is_a_link(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    """The host's own file must not be read, run or packed."""
    link = entry("./bin/busybox", tarfile.SYMTYPE, "/bin/busybox")
    publish(mirror, make_deb(NAME, VERSION, "amd64", [link]))
    assert "there is no file bin/busybox" in refused(machine, tmp_path)


@pytest.mark.parametrize("filename", ["../outside.deb", "/outside.deb", "pool/../../outside.deb"])
def test_filename_out_of_the_mirror(filename: str, mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    publish(mirror, mirror.packages[0].content, Filename=filename)
    assert "has a bad filename" in refused(machine, tmp_path)


# What a user may get wrong.


def test_unknown_recipe(machine: Machine) -> None:
    with pytest.raises(InvalidArgument, match='unknown recipe "beos"'):
        asyncio.run(run("beos", Options(machine=machine), lambda progress: None))


def test_package_that_is_not_there(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.packages.clear()
    mirror.publish()
    assert refused(machine, tmp_path, NotFound) == "there is no package busybox-static for amd64 in gadget"


def test_suite_that_is_not_there(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish()
    message = refused(machine, tmp_path, NotFound, mirror=f"file:{mirror.root}", suite="none")
    assert "has no release: is the suite's name right?" in message


def test_mirror_that_does_not_answer(mirror: DebianMirror, machine: Machine, tmp_path: Path) -> None:
    mirror.publish()
    with mirror.served() as url:
        pass
    message = refused(machine, tmp_path, mirror=url.replace("//", "//user:secret@"))
    assert message.startswith(f"cannot read {url}/dists/gadget/InRelease: ")
    assert "secret" not in message


def test_no_gpgv(mirror: DebianMirror, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.publish()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(machine, tmp_path).endswith("apt-get install gpgv")


def test_keys_of_the_tests_differ() -> None:
    assert OWNER.fingerprint != STRANGER.fingerprint
