"""The worker for real: a process, its children, and what happens when they or their input fail."""

import asyncio
import contextlib
import gzip
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from cove.errors import CoveError, Internal, InvalidArgument
from cove.layers import Worker, wait_for_workers
from cove.layers.worker.jobs import Remove, RemoveDone, Spool, SpoolDone, Unpack, UnpackDone
from unit.layers.tars import Tar


def with_worker(body: Callable[[Worker], Awaitable[None]]) -> None:
    async def run() -> None:
        worker = Worker()
        try:
            await body(worker)
        finally:
            await worker.close()

    asyncio.run(run())


async def stream(data: bytes, size: int = 1 << 16) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_a_compressed_stream(tmp_path: Path) -> None:
    plain = Tar().add("a/b", os.urandom(3 << 20)).bytes()
    packed = gzip.compress(plain, 1)

    async def body(worker: Worker) -> None:
        job = Unpack(str(tmp_path / "t"), str(tmp_path / "raw"), str(tmp_path / "plain"), hash_raw="sha256")
        done = await worker.run_stream(job, UnpackDone, stream(packed))
        assert (done.raw_digest, done.raw_size) == (digest(packed), len(packed))
        assert (done.diff_id, done.plain_size) == (digest(plain), len(plain))
        assert (done.entries, done.size) == (1, 3 << 20)

    with_worker(body)
    assert (tmp_path / "raw").read_bytes() == packed and (tmp_path / "plain").read_bytes() == plain
    assert (tmp_path / "t/a/b").stat().st_size == 3 << 20


def test_bad_input_is_told_while_more_of_it_comes(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 600
        while True:
            yield bytes(1 << 16)
            await asyncio.sleep(0)

    async def body(worker: Worker) -> None:
        with pytest.raises(InvalidArgument, match="invalid tar header"):
            await worker.run_stream(Unpack(str(tmp_path / "t")), UnpackDone, endless())

    with_worker(body)


def test_a_failing_source_stops_the_child(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield Tar().add("a").raw()
        raise ConnectionResetError("the client went away")

    async def body(worker: Worker) -> None:
        with pytest.raises(ConnectionResetError):
            await worker.run_stream(Unpack(str(tmp_path / "t")), UnpackDone, broken())
        await worker.run(Remove([str(tmp_path / "t"), str(tmp_path / "missing")]), RemoveDone)
        assert os.listdir(tmp_path) == []

    with_worker(body)


def test_when_it_is_cancelled_the_child_is_gone(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield Tar().add("a", b"x").raw()
        started.set()
        await asyncio.Event().wait()

    async def body(worker: Worker) -> None:
        task = asyncio.ensure_future(worker.run_stream(Unpack(str(tmp_path / "t")), UnpackDone, stalled()))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        children = Path(f"/proc/{worker._pid}/task/{worker._pid}/children").read_text().split()
        assert all(not Path(f"/proc/{child}/exe").exists() for child in children), "at most a shell of it is left"

    with_worker(body)


def test_a_killed_worker_is_started_again(tmp_path: Path) -> None:
    async def body(worker: Worker) -> None:
        for name in "ab":
            await worker.run_stream(Unpack(str(tmp_path / name)), UnpackDone, stream(Tar().add("f").bytes()))
            os.kill(worker._pid, signal.SIGKILL)
            os.waitid(os.P_PID, worker._pid, os.WEXITED | os.WNOWAIT)

    with_worker(body)
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_it_ends_when_it_is_idle(tmp_path: Path) -> None:
    async def body() -> None:
        worker = Worker(idle_seconds=0)
        await worker.run(Remove([]), RemoveDone)
        first = worker._pid
        while worker._control is not None:
            await asyncio.sleep(0)
        await asyncio.wait(worker._reaps)
        assert not Path(f"/proc/{first}").exists()
        await worker.run(Remove([]), RemoveDone)
        await worker.close()

    asyncio.run(body())


def test_no_descriptors_are_lost(tmp_path: Path) -> None:
    async def body(worker: Worker) -> None:
        await worker.run(Remove([]), RemoveDone)
        before = os.listdir("/proc/self/fd")
        for data in (Tar().add("f").bytes(), b"bad" * 1000):
            with contextlib.suppress(CoveError):
                await worker.run_stream(Unpack(str(tmp_path / "t")), UnpackDone, stream(data))
        assert len(os.listdir("/proc/self/fd")) == len(before)

    with_worker(body)


def test_a_machine_that_fails_is_no_bad_input(tmp_path: Path) -> None:
    async def body(worker: Worker) -> None:
        with pytest.raises(Internal):
            await worker.run_stream(Unpack(str(tmp_path / "missing/t")), UnpackDone, stream(Tar().bytes()))

    with_worker(body)


def test_spooled_members(tmp_path: Path) -> None:
    tar = Tar().directory("d").add("./d/a", b"first").add("/b", b"b").symlink("d/l", "../b").link("h", "d/a")
    tar.add("d/a", b"second").symlink("d/up", "../../out")

    async def body(worker: Worker) -> None:
        job = Spool(str(tmp_path))
        with pytest.raises(InvalidArgument, match="d/up: path leads out"):
            await worker.run_stream(job, SpoolDone, stream(tar.bytes()))
        (place := tmp_path / "again").mkdir()
        good = Tar().add("./d/a", b"first").add("b", b"b").symlink("d/l", "../b").link("h", "d/a").add("d/a", b"second")
        done = await worker.run_stream(Spool(str(place)), SpoolDone, stream(good.bytes()))
        found = {member.name: member for member in done.members}
        assert found.keys() == {"d/a", "b", "d/l", "h"}
        assert Path(found["d/a"].file).read_bytes() == b"second" and found["d/a"].digest == digest(b"second")
        assert (found["d/l"].link, found["h"].link) == ("b", "d/a")

    with_worker(body)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_an_image_beside_the_tar(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    plain = Tar().add("a/b", b"data").bytes()
    (tmp_path / "blob").write_bytes(compress(plain))

    async def body(worker: Worker) -> None:
        with (tmp_path / "blob").open("rb") as blob:
            job = Unpack(str(tmp_path / "t.erofs"), source=str(tmp_path / "blob"))
            done = await worker.run(job, UnpackDone, blob.fileno())
        assert (done.target, done.entries, done.size) == (str(tmp_path / "t.erofs"), 1, 4)

    with_worker(body)
    assert (tmp_path / "t.erofs/tar").read_bytes() == plain
    assert (tmp_path / "t.erofs/tar").samefile(tmp_path / "blob") == (compress is bytes), "no byte is written twice"
    assert int.from_bytes((tmp_path / "t.erofs/index").read_bytes()[1024:1028], "little") == 0xE0F5E1E2


def test_a_directory_for_a_tar_that_suits_no_image(tmp_path: Path) -> None:
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "100000"}
    data = b"1\n99999\n1\n".ljust(512, b"\0") + b"x"
    tar = Tar().add("holes", data, pax_headers=sparse).bytes()

    async def body(worker: Worker) -> None:
        job = Unpack(str(tmp_path / "t.erofs"), plain=str(tmp_path / "plain"))
        done = await worker.run_stream(job, UnpackDone, stream(tar))
        assert (done.target, done.diff_id) == (str(tmp_path / "t"), digest(tar))

    with_worker(body)
    assert (tmp_path / "t/holes").stat().st_size == 100_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "t"]


def test_who_comes_after_it_waits_for_its_last_child(tmp_path: Path) -> None:
    lock = tmp_path / "lock"

    async def body() -> None:
        worker = Worker(lock)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        job = asyncio.ensure_future(worker.run(Unpack(str(tmp_path / "t")), UnpackDone, reading))
        while not (tmp_path / "t").exists():
            await asyncio.sleep(0.001)
        worker._stop()  # the worker ends; its child goes on with the job
        waiting = asyncio.ensure_future(asyncio.to_thread(wait_for_workers, lock))
        os.write(writing, Tar().add("f").bytes())
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        os.close(writing)
        assert (await job).entries == 1
        await waiting
        os.close(reading)
        await worker.close()

    asyncio.run(body())
