"""What a shim does for each message of the daemon: one method each, and one answer to whoever asked."""

from collections.abc import Callable
from typing import Any, Protocol

from cove.oci.runtime import Resources
from cove.runtime import detach, messages
from cove.runtime.control import Connection
from cove.runtime.execs import Exec, Execs
from cove.runtime.streams import Streams

Request = (
    messages.NetworkReady
    | messages.Attach
    | messages.Exec
    | messages.Resize
    | messages.Signal
    | messages.ConfigureNetwork
    | messages.Update
    | messages.Query
)


class Refused(Exception):
    """The request cannot be carried out now; the message is for the user."""


class Container(Protocol):
    """What requests are about."""

    streams: Streams | None
    execs: Execs | None
    started_at: int | None

    @property
    def pid(self) -> int: ...
    @property
    def network(self) -> tuple[int, ...]: ...
    @property
    def running(self) -> bool: ...
    @property
    def finishing(self) -> bool: ...
    def network_ready(self, interfaces: list[messages.Interface]) -> None: ...
    def configure_network(self, change: messages.ConfigureNetwork) -> None: ...
    def update(self, resources: Resources) -> None: ...
    def signal(self, number: int) -> None: ...
    def signal_everyone(self, number: int) -> None: ...


class Requests:
    def __init__(self, container: Container) -> None:
        self._container = container
        self._methods: dict[type, Callable[[Connection, Any, list[int]], None]] = {
            messages.NetworkReady: self._network_ready,
            messages.Attach: self._attach,
            messages.Exec: self._exec,
            messages.Resize: self._resize,
            messages.Signal: self._signal,
            messages.ConfigureNetwork: self._configure_network,
            messages.Update: self._update,
            messages.Query: self._query,
        }

    def handle(self, connection: Connection, message: messages.Message, descriptors: list[int]) -> None:
        """Carry out a message and answer it. Raises ValueError for one that no daemon sends to a shim."""
        if not isinstance(message, Request):
            raise ValueError("not a request")
        try:
            self._methods[type(message)](connection, message, descriptors)
        except (OSError, Refused, detach.BadKeys) as error:
            if not isinstance(message, messages.NetworkReady):  # which nobody waits to be answered
                connection.send(messages.Failed(message.request, _text(error), None))

    def _network_ready(self, _connection: Connection, message: messages.NetworkReady, _descriptors: list[int]) -> None:
        self._container.network_ready(message.interfaces)

    def _attach(self, connection: Connection, message: messages.Attach, descriptors: list[int]) -> None:
        streams = self._container.streams
        if streams is None or self._container.finishing:
            raise Refused(messages.NOT_RUNNING)
        if len(descriptors) != 1:
            raise ValueError("Attach carries one stream")
        border = streams.attach(descriptors.pop(), message.attachment)
        connection.send(messages.Done(message.request, None, border))

    def _exec(self, connection: Connection, message: messages.Exec, descriptors: list[int]) -> None:
        execs = self._container.execs
        if execs is None or not self._container.running:
            raise Refused(messages.NOT_RUNNING)
        try:
            execs.start(message, connection, descriptors.pop() if descriptors else None)
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"the exec cannot be started: {error}") from error

    def _resize(self, connection: Connection, message: messages.Resize, _descriptors: list[int]) -> None:
        streams = self._container.streams if message.exec_id is None else self._exec_of(message.exec_id).streams
        if streams is None or self._container.finishing:
            raise Refused(messages.NOT_RUNNING)
        if not streams.terminal:
            raise Refused("there is no terminal to resize")
        streams.resize(message.rows, message.columns)
        connection.send(messages.Done(message.request, None))

    def _signal(self, connection: Connection, message: messages.Signal, _descriptors: list[int]) -> None:
        if message.everyone:
            self._container.signal_everyone(message.signal)
        elif message.exec_id is None:
            self._container.signal(message.signal)
        else:
            self._exec_of(message.exec_id).child.signal(message.signal)
        connection.send(messages.Done(message.request, None))

    def _configure_network(
        self, connection: Connection, message: messages.ConfigureNetwork, _descriptors: list[int]
    ) -> None:
        if not self._container.network or self._container.finishing:
            raise Refused(messages.NOT_RUNNING)
        self._container.configure_network(message)
        connection.send(messages.Done(message.request, None))

    def _update(self, connection: Connection, message: messages.Update, _descriptors: list[int]) -> None:
        if not self._container.running:
            raise Refused(messages.NOT_RUNNING)
        try:
            self._container.update(message.resources)
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"the limits cannot be applied: {error}") from error
        connection.send(messages.Done(message.request, None))

    def _query(self, connection: Connection, message: messages.Query, _descriptors: list[int]) -> None:
        container = self._container
        execs = container.execs.running() if container.execs is not None else {}
        state = messages.State(message.request, container.pid, container.started_at, execs)
        connection.send(state, container.network)

    def _exec_of(self, exec_id: str) -> Exec:
        exec_ = self._container.execs.get(exec_id) if self._container.execs is not None else None
        if exec_ is None:
            raise Refused(f"no such running exec: {exec_id}")
        return exec_


def _text(error: Exception) -> str:
    """What a refusal says to the user."""
    if isinstance(error, ProcessLookupError):
        return "the process has ended"
    return str(error)
