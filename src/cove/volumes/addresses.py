"""The servers of network file systems, by number: the kernel looks no name up.

nfs has it in the option ``addr``, cifs there or in the device (``//host/share``); what a user gives by number stays.
"""

import asyncio
import ipaddress
import socket

from cove.errors import Internal

NETWORK = ("nfs", "nfs4", "cifs", "smb3")


async def resolved(kind: str, device: str, words: str, path: str) -> tuple[str, str]:
    """The device and the option ``o`` with addresses for names. Raises Internal in Docker's words."""
    if kind not in NETWORK:
        return device, words
    host = _option(words, "addr")
    try:
        if host:
            return device, _with_address(words, host, await _address(host))
        if kind in ("nfs", "nfs4") or not device.startswith("//"):
            return device, words
        server, slash, share = device[2:].partition("/")
        return f"//{await _address(server)}{slash}{share}", words
    except OSError as error:
        raise Internal(
            f"error while mounting volume '{path}': error resolving passed in network volume address: "
            f"lookup {host or device}: {error.strerror}"
        ) from error


def _option(words: str, name: str) -> str:
    return next((word.partition("=")[2] for word in words.split(",") if word.startswith(f"{name}=")), "")


def _with_address(words: str, host: str, address: str) -> str:
    return ",".join(f"addr={address}" if word == f"addr={host}" else word for word in words.split(","))


async def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return str(found[0][4][0])
