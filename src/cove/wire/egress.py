"""What a container's egress policy is, and what was learned for one: an extension of ours."""

from cove.wire.base import Wire


class EgressDestination(Wire):
    """``name``: a domain name, or an address. ``port``: 0 for protocols without. ``addresses``: those reached."""

    name: str
    port: int
    protocol: str
    addresses: list[str]


class EgressReport(Wire):
    """``policy``: as given, ``none`` without one. ``allow``: a policy for just what was learned."""

    policy: str
    learned: list[EgressDestination]
    allow: str
