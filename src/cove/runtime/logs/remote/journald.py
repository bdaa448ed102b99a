"""The ``journald`` driver: systemd's native protocol, one datagram for each line (systemd.io/JOURNAL_NATIVE_PROTOCOL).

A journal that restarts is connected to again; what it does not take meanwhile is dropped.
"""

import os
import re
import socket
import struct
from array import array
from contextlib import suppress

from cove.runtime.logs.remote.delivery import Message
from cove.runtime.messages import RemoteLog

SOCKET = "/run/systemd/journal/socket"

_PRIORITIES = {1: b"6", 2: b"3"}
_SHORT_ID = 12
_NOT_A_NAME = re.compile("[^A-Z0-9_]")


def connect(remote: RemoteLog, path: str = SOCKET) -> "Journal":
    """Raises OSError in Docker's words."""
    if not os.path.exists(path):
        raise OSError("journald is not enabled on this host")
    return Journal(remote, path)


class Journal:
    def __init__(self, remote: RemoteLog, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        info = remote["info"]
        fields = {
            "CONTAINER_ID": info["container_id"][:_SHORT_ID],
            "CONTAINER_ID_FULL": info["container_id"],
            "CONTAINER_NAME": info["container_name"].removeprefix("/"),
            "CONTAINER_TAG": remote["tag"],
            "IMAGE_NAME": info["image_name"],
            "SYSLOG_IDENTIFIER": remote["tag"],
        }
        extra = {field_name(name): value for name, value in remote["extra"].items()}
        self._fields = b"".join(field(name, value.encode()) for name, value in {**extra, **fields}.items() if name)

    def send(self, message: Message) -> None:
        data = self._fields + field("MESSAGE", message.line) + field("PRIORITY", _PRIORITIES[message.stream])
        if message.part is not None and not message.part.last:
            data += field("CONTAINER_PARTIAL_MESSAGE", b"true")
        with suppress(OSError):
            try:
                self._socket.sendto(data, self._path)
            except OSError:
                self._send_file(data)

    def _send_file(self, data: bytes) -> None:
        """What is too large for a datagram goes as a sealed file in memory."""
        file = os.memfd_create("cove-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.write(file, data)
            _seal(file)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file]))]
            self._socket.sendmsg([b""], rights, 0, self._path)
        finally:
            os.close(file)

    def close(self) -> None:
        self._socket.close()


def _seal(file: int) -> None:
    import fcntl

    fcntl.fcntl(file, 1033, 0x0001 | 0x0002 | 0x0004 | 0x0008)  # F_ADD_SEALS: seal, shrink, grow, write


def field(name: str, value: bytes) -> bytes:
    """``NAME=value``, or for a value of several lines its name, its length and it."""
    if b"\n" in value:
        return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


def field_name(name: str) -> str:
    """A label or variable as the journal takes names: upper case, other characters as ``_``, none of them first."""
    return _NOT_A_NAME.sub("_", name.upper()).lstrip("_")
