"""The resolver's process: one thread, one loop, every container's 127.0.0.11.

It is a process of its own so that a flood of questions does not hold up the daemon, nor a restart of the daemon a
question; and it is started by the first container on a user network, so that who has none pays nothing.
"""

import gc
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import NoReturn

import cove
from cove.kernel import processes
from cove.kernel.nftables import Nftables
from cove.resolver import messages
from cove.resolver.messages import Begin, Done, End, Failed, Hello, Message, Place, Remove, Sandbox, Welcome
from cove.resolver.names import Names
from cove.resolver.sandbox import Namespace
from cove.resolver.served import Around, Served
from cove.resolver.servers import HostServers
from cove.runtime.loop import READ, Loop

log = logging.getLogger(__name__)

LINGER = 10.0
"""Seconds without a container after which it ends."""


class Known:
    """A container that is known: its names on networks, and 127.0.0.11 in its namespace unless it needs none."""

    def __init__(self, namespace: Namespace, init: int, served: Served | None) -> None:
        self.namespace = namespace
        self.init = init
        self.served = served
        self.stale = False


def main(listener: int, connection: int, resolv_conf: str) -> NoReturn:
    """Serve. ``listener``, ``connection``: descriptors of the socket for daemons, and of the first one's connection."""
    processes.close_all_but([0, 1, 2, listener, connection])
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    processes.set_name("cove-resolver")
    os.chdir("/")
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    service = Service(Loop(_report), socket.socket(fileno=listener), resolv_conf)
    logging.getLogger().addHandler(Telling(service))
    service.adopt(socket.socket(fileno=connection))
    gc.collect()
    gc.freeze()
    service.run()
    os._exit(0)


class Telling(logging.Handler):
    """What goes wrong is told to the daemon, which has a log."""

    def __init__(self, service: "Service") -> None:
        super().__init__(logging.WARNING)
        self._service = service

    def emit(self, record: logging.LogRecord) -> None:
        self._service.tell(Failed(0, self.format(record)[:1000]))


def _report(error: Exception) -> None:
    log.error("%s: %s", type(error).__name__, error, exc_info=error)


class Service:
    """Everything the process holds. ``listener`` is where daemons connect."""

    def __init__(self, loop: Loop, listener: socket.socket, resolv_conf: str) -> None:
        self._loop = loop
        self._listener = listener
        self._daemons: dict[int, socket.socket] = {}
        self._places: dict[str, Known] = {}
        host = HostServers(resolv_conf)
        self._nftables = Nftables()  # of the host's namespace; also loads the library before a container waits for it
        self._around = Around(loop, Names(), host, self._nftables, self.tell)
        listener.setblocking(False)
        loop.watch(listener.fileno(), READ, self._accept)
        loop.watch(host.fileno(), READ, lambda _events: host.refresh())
        self._leave_when_idle()

    def run(self) -> None:
        self._loop.run()

    def adopt(self, connection: socket.socket) -> None:
        """Serve a daemon."""
        connection.setblocking(False)
        self._daemons[connection.fileno()] = connection
        self._loop.watch(connection.fileno(), READ, partial(self._readable, connection.fileno()))

    def tell(self, message: Message) -> bool:
        """Say something to whoever listens; a daemon that does not read misses it. Whether anybody heard it."""
        heard = False
        for connection in self._daemons.values():
            with suppress(OSError):
                messages.send(connection, messages.encode(message), [])
                heard = True
        return heard

    # Daemons

    def _accept(self, _events: int) -> None:
        with suppress(OSError):
            self.adopt(self._listener.accept()[0])

    def _readable(self, descriptor: int, _events: int) -> None:
        while (connection := self._daemons.get(descriptor)) is not None:
            try:
                received = messages.receive(connection)
            except BlockingIOError:
                return
            except ConnectionResetError:
                continue
            except ValueError as error:  # of a newer daemon
                log.error("daemon: %s", error)
                continue
            except OSError:
                received = None
            if received is None:
                self._lose(descriptor)
                return
            self._dispatch(connection, *received)

    def _lose(self, descriptor: int) -> None:
        self._loop.forget(descriptor)
        self._daemons.pop(descriptor).close()
        self._leave_when_unwanted()

    def _dispatch(self, connection: socket.socket, message: Message, descriptors: list[int]) -> None:
        match message:
            case Hello(request):
                self._reply(connection, Welcome(request, cove.__version__, len(self._places)))
            case Begin():
                for place in self._places.values():
                    place.stale = True
            case End(request):
                for container in [known for known, place in self._places.items() if place.stale]:
                    self._remove(container)
                self._reply(connection, Done(request))
                for place in self._places.values():
                    if place.served is not None:
                        place.served.learning.tell_again()
            case Place(request, sandbox):
                self._reply(connection, self._place(request, sandbox, descriptors))
            case Remove(container):
                self._remove(container)
            case _:
                log.error("unexpected %s", type(message).__name__)
        for descriptor in descriptors:  # that nobody took
            os.close(descriptor)

    def _reply(self, connection: socket.socket, message: Message) -> None:
        with suppress(OSError):  # the end of its connection is seen when it is read
            messages.send(connection, messages.encode(message), [])

    # Containers

    def _place(self, request: int, sandbox: Sandbox, descriptors: list[int]) -> Done | Failed:
        """A container starts or has changed. What is taken of ``descriptors`` is taken out."""
        try:
            if len(descriptors) == 2:
                self._enter(sandbox, descriptors)
            else:
                self._change(sandbox)
            self._around.names.place(sandbox["container"], sandbox["endpoints"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._remove(str(sandbox.get("container")))
            return Failed(request, str(error))
        return Done(request)

    def _enter(self, sandbox: Sandbox, descriptors: list[int]) -> None:
        container = sandbox["container"]
        known = self._places.get(container)
        if known is not None and known.namespace.inode == os.fstat(descriptors[0]).st_ino:
            known.stale = False
            self._change(sandbox)
            return
        self._remove(container)
        namespace, init = Namespace(descriptors.pop(0)), descriptors.pop(0)
        try:
            served = Served(self._around, namespace, sandbox) if sandbox["serve"] else None
        except BaseException:
            namespace.close()
            os.close(init)
            raise
        self._places[container] = Known(namespace, init, served)
        self._loop.watch(init, READ, lambda _events: self._remove(container))

    def _change(self, sandbox: Sandbox) -> None:
        place = self._places[sandbox["container"]]
        if place.served is None and sandbox["serve"]:
            place.served = Served(self._around, place.namespace, sandbox)
        elif place.served is not None:
            place.served.change(sandbox)

    def _remove(self, container: str) -> None:
        """Let go of a container, which may be unknown: its namespace can go, its names mean nothing."""
        self._around.names.remove(container)
        if (place := self._places.pop(container, None)) is None:
            return
        self._loop.forget(place.init)
        os.close(place.init)
        if place.served is not None:
            place.served.close()
        place.namespace.close()
        self._leave_when_unwanted()
        self._leave_when_idle()

    # The end

    def _leave_when_unwanted(self) -> None:
        if not self._places and not self._daemons:
            self._loop.stop()

    def _leave_when_idle(self) -> None:
        """End a while after the last container; the daemon starts another one when it needs it."""
        if not self._places:
            self._loop.later(LINGER, self._leave_if_still_idle)

    def _leave_if_still_idle(self) -> None:
        if not self._places:
            self._loop.stop()


if __name__ == "__main__":
    sys.exit("the daemon starts this")
