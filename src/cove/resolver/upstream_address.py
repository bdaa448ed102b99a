"""The address of a server as a socket takes it."""

import socket


def checked(text: str) -> bool:
    """It is an address, with a link for an IPv6 one where that is needed (``fe80::1%eth0``)."""
    host, _, _link = text.partition("%")
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return False
    return True


def socket_address(text: str, port: int) -> tuple[int, tuple[str, int] | tuple[str, int, int, int]]:
    """The family and the address. Raises OSError when its link is not there."""
    if ":" not in text:
        return socket.AF_INET, (text, port)
    host, _, link = text.partition("%")
    if not link:
        return socket.AF_INET6, (host, port, 0, 0)
    return socket.AF_INET6, (host, port, 0, int(link) if link.isdecimal() else socket.if_nametoindex(link))
