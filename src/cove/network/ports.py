"""Published ports: what was asked for, who holds which host port, and the sockets that reserve them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PortRequest:
    """A wish to publish ``container_port`` of ``protocol`` (tcp, udp, sctp).

    ``host_address``: "" for the default. ``host_port``: "" for any free one, "8080", or "8000-8010" for one of these:
    as in the Engine API's PortBinding.
    """

    protocol: str
    container_port: int
    host_address: str = ""
    host_port: str = ""
