"""What somebody removes from a table of nftables, as the kernel tells it (linux/netfilter/nf_tables.h)."""

import errno
import os
import socket
from collections.abc import Collection

from cove.kernel.netlink_format import RECEIVE_BYTES, attributes, messages

_NETLINK_NETFILTER = 12
_GROUP = 1 << (7 - 1)  # NFNLGRP_NFTABLES
_SUBSYSTEM = 10
_DELETE_TABLE, _DELETE_CHAIN, _DELETE_RULE, _DELETE_SET, _DELETE_ELEMENT, _GENERATION = 2, 5, 8, 11, 14, 15
_WHOLE = (_DELETE_TABLE, _DELETE_CHAIN)
_PARTS = (_DELETE_RULE, _DELETE_SET, _DELETE_ELEMENT)
_TABLE, _PROCESS = 1, 2
_WITHIN = 2
"""What a rule is within is its chain, and an element its set."""
_FAMILY_BYTES = 4  # struct nfgenmsg


class RulesetEvents:
    """Tells whether others have removed anything of ``table`` in this network namespace. For one event loop.

    ``spared``: chains and sets of which they may remove rules and elements. A transaction is ours when a thread of this
    process made it.
    """

    def __init__(self, table: str, spared: Collection[str] = ()) -> None:
        self._table = table
        self._spared = spared
        self._kinds = (*_WHOLE, *_PARTS) if _threads_have_their_own_numbers() else _WHOLE
        self._removed = False
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, _NETLINK_NETFILTER
        )
        self._socket.bind((0, _GROUP))

    def fileno(self) -> int:
        return self._socket.fileno()

    def damaged(self) -> bool:
        """Whether something was removed since the last call; also when the kernel had to drop events."""
        found = False
        while True:
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found = True
                continue
            for kind, _flags, _number, payload in messages(data):
                if kind >> 8 == _SUBSYSTEM:
                    found = self._judge(kind & 0xFF, dict(attributes(payload, _FAMILY_BYTES))) or found

    def close(self) -> None:
        self._socket.close()

    def _judge(self, kind: int, told: dict[int, bytes]) -> bool:
        """The events of a transaction come first, then the one that says who made it."""
        if kind == _GENERATION:
            removed, self._removed = self._removed, False
            return removed and not _is_ours(int.from_bytes(told.get(_PROCESS, b""), "big"))
        if kind in self._kinds and _text(told.get(_TABLE, b"")) == self._table:
            part = kind in (_DELETE_RULE, _DELETE_ELEMENT)
            spared = part and _text(told.get(_WITHIN, b"")) in self._spared
            self._removed = self._removed or not spared
        return False


def _threads_have_their_own_numbers() -> bool:
    """The kernel names threads by the numbers of the first process namespace, and we may be in another."""
    return os.readlink("/proc/self/ns/pid") == "pid:[4026531836]"  # PROC_PID_INIT_INO


def _is_ours(thread: int) -> bool:
    return os.path.exists(f"/proc/self/task/{thread}")


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
