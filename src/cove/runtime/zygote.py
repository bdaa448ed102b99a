"""The warm process that shims are forked from: all imports are done, nothing runs in it, its pages are shared.

Single-threaded, no event loop: it waits for StartShim on one socket and forks. It ends with the daemon; the shims do
not. A start pays for no import, no garbage collection and no reading of the machine's layout.
"""

import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from cove.kernel import cgroups, layer_images, processes
from cove.runtime import messages, pools, shim
from cove.runtime.control import close_all
from cove.runtime.isolation import Isolation
from cove.runtime.rehearsal import rehearse

if TYPE_CHECKING:
    from cove.runtime.mappings import Mappings


def main(descriptor: int) -> NoReturn:
    """Serve the daemon on a SOCK_SEQPACKET socket until it closes its end."""
    daemon = socket.socket(fileno=descriptor)
    daemon.set_inheritable(False)
    processes.close_all_but([0, 1, 2, descriptor])  # the interpreter's own sealed copy, by which it was executed
    _settle()
    isolation = Isolation()
    try:
        while serve(daemon, isolation):
            pass
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        os._exit(1)
    os._exit(0)


def _settle() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)  # whatever the daemon was started with: programs would inherit it
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    rehearse()
    shim.ignore_signals()  # the end of the daemon's socket ends this process
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # shims that end are no zombies; nobody here waits for them
    processes.set_name("cove-zygote")
    cgroups.layout()
    gc.collect()
    pools.fill()
    gc.disable()
    gc.freeze()


def serve(daemon: socket.socket, isolation: Isolation) -> bool:
    """Start one shim, or forget layers. Returns whether the daemon is still there."""
    try:
        received = messages.receive(daemon)
    except ValueError as error:
        print(f"zygote: {error}", file=sys.stderr)
        return True
    if received is None:
        return False
    message, descriptors = received
    try:
        if isinstance(message, messages.StartShim) and len(descriptors) == 1 + len(message.attachments):
            _fork(daemon, message, descriptors, isolation)
        elif isinstance(message, messages.Forget):
            layer_images.forget(message.layers)
        else:
            print(f"zygote: not a start: {message!r}", file=sys.stderr)
    finally:
        close_all(descriptors)
    return True


def _fork(daemon: socket.socket, start: messages.StartShim, descriptors: list[int], isolation: Isolation) -> None:
    _mount_layers(start)
    try:
        pid = os.fork()
    except OSError as error:
        _refuse(start, descriptors[0], error)
        return
    if pid == 0:
        daemon.close()
        _forget_mappings(start)
        _quiet()
        shim.main(start, socket.socket(fileno=descriptors[0]), descriptors[1:], isolation)
    if mapped := _mappings(start):
        from cove.runtime import mappings

        with suppress(OSError, ValueError):  # the next container makes its own, or tells why not
            mappings.renew_spare(mapped)


def _mappings(start: messages.StartShim) -> "Mappings | None":
    return start.root.get("mappings") if start.root is not None else None


def _forget_mappings(start: messages.StartShim) -> None:
    """In the shim of a container that is in no user namespace: what was made for others."""
    loaded = sys.modules.get("cove.runtime.mappings")
    if loaded is not None and not _mappings(start):
        loaded.forget()


def _mount_layers(start: messages.StartShim) -> None:
    """Mount the images among the layers, once for all containers that stand on them; and have ready what maps them."""
    if mapped := _mappings(start):
        from cove.runtime import mappings

        with suppress(OSError, ValueError):
            mappings.keep(mapped)
    for layer in start.root["lower"] if start.root is not None else ():
        if layer_images.is_image(layer):
            with suppress(OSError):  # whoever needs it tries again, and tells the user
                layer_images.keep(layer)


def _refuse(start: messages.StartShim, control: int, error: OSError) -> None:
    with socket.socket(fileno=os.dup(control)) as connection:
        try:
            messages.send(connection, messages.StartFailed(125, f"cannot start a process: {error.strerror}"))
        except OSError:
            print(f"zygote: {start.container_id}: {error}", file=sys.stderr)


def _quiet() -> None:
    """Not hold the daemon's standard error open: whoever reads it waits for its end."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
