"""The unpacking worker: a warm, single-threaded interpreter that forks a child per job (see ``jobs``).

Started as ``python -I -m cove.layers.worker.process``; ends when coved closes the socket, or is gone.
"""

import contextlib
import errno
import gc
import hashlib
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from cove.errors import CoveError, Internal, NoSpace
from cove.layers import compress, unpack_job
from cove.layers.builds import context, selection, squashing, step_layers
from cove.layers.builds.kept_context import compare as list_context
from cove.layers.builds.kept_context import fill as fill_context
from cove.layers.builds.packages import find_packages
from cove.layers.builds.reading import read_file
from cove.layers.copying import browse, copy_in, copy_out, look
from cove.layers.looking.difference_lines import write_lines
from cove.layers.looking.differences import differences
from cove.layers.looking.reports import compare_stacks, find_waste, list_files
from cove.layers.looking.verify import verify
from cove.layers.pack import pack, pack_layer
from cove.layers.spool import spool
from cove.layers.tar.writer import Writer
from cove.layers.tree import remove_tree
from cove.layers.view import enter_user, open_bare_root, open_root
from cove.layers.volumes import disks, tree_work
from cove.layers.volumes.populate import populate
from cove.layers.worker.build_jobs import (
    CopyStep,
    FillContext,
    FindPackages,
    HideInContext,
    ListContext,
    PackStep,
    ReadFile,
    ReceiveContext,
    Select,
    Squash,
)
from cove.layers.worker.jobs import (
    CONTROL,
    Browse,
    Compare,
    CompareDone,
    Compress,
    CopyDone,
    CopyIn,
    CopyOut,
    Done,
    Export,
    Failed,
    GrowDisk,
    Job,
    Look,
    PackLayer,
    PackLayerDone,
    Populate,
    Progress,
    Remove,
    RemoveDone,
    Reply,
    Spool,
    SpoolDone,
    Unpack,
    Verify,
)
from cove.layers.worker.looking_jobs import CompareStacks, FindWaste, ListFiles
from cove.layers.worker.pipeline import Input, open_stream
from cove.layers.worker.staging import stage
from cove.layers.worker.tree_jobs import AttachMount, BackUp, CompareTrees, CopyTree, DetachMount, Restore

MAX_JOB = 1 << 16
MAX_DESCRIPTORS = 4
_PROGRESS_SECONDS = 0.1


def main() -> None:
    """Take jobs until the socket is closed."""
    control = socket.socket(fileno=CONTROL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children need no wait: their reply says how they ended
    os.umask(0)
    os.chdir("/")
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MAX_JOB, MAX_DESCRIPTORS)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            _child(message, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _child(message: bytes, descriptors: list[int]) -> None:
    """Do one job and exit, whatever happens."""
    try:
        reply = socket.socket(fileno=descriptors[0])
        if _is_closed(reply):  # given up, or by a daemon that is gone, while this interpreter was still starting
            return
        job = msgspec.json.decode(message, type=Job)
        if isinstance(job, Export | Look | CopyOut | CopyIn | Browse) and job.view.entered:
            enter_user(descriptors[-1])  # a process with threads may not
        threading.Thread(target=_exit_when_closed, args=(reply,), daemon=True).start()
        with contextlib.suppress(BrokenPipeError):
            _send(reply, _outcome(job, descriptors[1:], reply))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _outcome(job: Job, descriptors: list[int], reply: socket.socket) -> Reply:
    try:
        return _work(job, descriptors, reply)
    except CoveError as error:
        return Failed.of(error)
    except OSError as error:
        kind = NoSpace if error.errno in (errno.ENOSPC, errno.EDQUOT) else Internal
        return Failed.of(kind(error.strerror if error.filename is None else str(error)))
    except Exception as error:
        traceback.print_exc()
        return Failed.of(Internal(f"the unpacking worker failed: {error!r}"))


def _work(job: Job, descriptors: list[int], reply: socket.socket) -> Done:
    match job:
        case Unpack():
            return unpack_job.run(job, descriptors[0], _Reporter(reply))
        case Compress():
            return compress.run(job, _Reporter(reply))
        case Spool():
            source = Input(descriptors[0], "", "", "", _Reporter(reply), hash_plain=False)
            return SpoolDone(spool(source.pieces(), Path(job.directory), job.limits))
        case Verify():
            return verify(job, _Reporter(reply))
        case Remove():
            for path in job.paths:
                _remove(path)
            return RemoveDone()
        case Populate():
            return populate(job)
        case GrowDisk():
            return disks.grow(job)
        case Compare():
            stage(job.staged)
            write_lines(descriptors[0], differences(job.lower, job.upper))
            return CompareDone()
        case ListFiles():
            return list_files(job)
        case CompareStacks():
            return compare_stacks(job)
        case FindWaste():
            return find_waste(job)
        case PackLayer():
            return _pack_layer(job)
        case CopyTree() | CompareTrees() | BackUp() | Restore() | AttachMount() | DetachMount():
            return tree_work.run(job, descriptors, _Reporter(reply))
        case PackStep():
            return step_layers.pack(job)
        case ReceiveContext():
            return context.receive(job, descriptors[0], _Reporter(reply))
        case HideInContext():
            return context.hide(job)
        case ListContext():
            return list_context(job, descriptors[0])
        case FillContext():
            return fill_context(job, descriptors[0])
        case Select():
            return selection.select(job)
        case CopyStep():
            return step_layers.copy(job)
        case ReadFile():
            return read_file(job)
        case FindPackages():
            return find_packages(job)
        case Squash():
            return squashing.squash(job)
        case _:
            return _with_view(job, descriptors, reply)


def _with_view(job: Export | Look | CopyOut | CopyIn | Browse, descriptors: list[int], reply: socket.socket) -> Done:
    namespace = descriptors[-1] if job.view.entered else None
    if isinstance(job, Export):
        _write_tar(descriptors[0], lambda writer: pack(open_bare_root(job.view, namespace), b"", writer))
        return CopyDone()
    root = open_root(job.view, namespace, writes=isinstance(job, CopyIn))
    match job:
        case Look():
            return look(root, job.path)
        case Browse():
            return browse(root, job.path)
        case CopyOut():
            _write_tar(descriptors[0], lambda writer: copy_out(root, job.path, job.name, writer))
        case CopyIn():
            copy_in(root, job, open_stream(descriptors[0], _Reporter(reply)))
    return CopyDone()


def _pack_layer(job: PackLayer) -> PackLayerDone:
    stage(job.staged)
    checksum = hashlib.sha256()
    with open(job.target, "xb", buffering=1 << 18) as file:

        def write(piece: bytes) -> None:
            checksum.update(piece)
            file.write(piece)

        writer = Writer(write)
        pack_layer(job.upper, writer)
        writer.end()
        return PackLayerDone(f"sha256:{checksum.hexdigest()}", file.tell())


def _write_tar(target: int, fill: Callable[[Writer], None]) -> None:
    """A whole tar to a pipe; an error leaves it without its end."""
    with open(target, "wb", buffering=1 << 18) as pipe:
        writer = Writer(pipe.write)
        fill(writer)
        writer.end()


def _remove(path: str) -> None:
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(parent, os.path.basename(path).encode())
    except FileNotFoundError:
        pass
    finally:
        os.close(parent)


class _Reporter:
    """Sends how much was read, now and then."""

    def __init__(self, reply: socket.socket) -> None:
        self._reply = reply
        self._next = 0.0

    def __call__(self, read: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PROGRESS_SECONDS
            _send(self._reply, Progress(read))


def _send(reply: socket.socket, message: Reply) -> None:
    reply.sendall(msgspec.json.encode(message) + b"\n")


def _is_closed(reply: socket.socket) -> bool:
    try:
        return not reply.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _exit_when_closed(reply: socket.socket) -> None:
    """coved sends nothing here: an end means that it gave the job up, or is gone."""
    with contextlib.suppress(OSError):
        reply.recv(1)
    os._exit(1)


if __name__ == "__main__":
    main()
