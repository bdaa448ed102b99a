"""The daemon's end of a client's streams: a connected socket whose other end the shim holds."""

import secrets
import socket

from cove.errors import InvalidArgument
from cove.runtime.messages import Attachment

DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q"


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Ours and the shim's."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def attachment(
    *, stdin: bool, stdout: bool, stderr: bool, detach_keys: str, exec_id: str = "", after_log: bool = False
) -> Attachment:
    """A new attachment. Empty ``detach_keys`` means Docker's default. That of an exec has the exec's id.

    Raises InvalidArgument for keys that are none.
    """
    keys = detach_keys or DEFAULT_DETACH_KEYS
    if not are_keys(keys):
        raise InvalidArgument(f"Invalid detach keys ({keys}) provided")
    made: Attachment = {
        "attach_id": exec_id or secrets.token_hex(8),
        "stdin": stdin,
        "stdout": stdout,
        "stderr": stderr,
        "detach_keys": keys,
    }
    if after_log:
        made["after_log"] = True
    return made


def are_keys(keys: str) -> bool:
    """Whether each is a character or ``ctrl-`` and one that has such a form; none at all will do."""
    return all(_is_key(key) for key in keys.split(",")) if keys else True


def _is_key(key: str) -> bool:
    control = key.removeprefix("ctrl-")
    return len(key) == 1 or (key.startswith("ctrl-") and len(control) == 1 and control.lower() in _CONTROLS)


_CONTROLS = "abcdefghijklmnopqrstuvwxyz@[\\]^_"
