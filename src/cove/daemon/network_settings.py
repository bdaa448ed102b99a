"""The daemon's settings of networks, in the words of the network package, and what they may not say together."""

import socket
from dataclasses import replace
from pathlib import Path

from cove.daemon.settings import Settings
from cove.errors import InvalidArgument
from cove.network import DEFAULT_MTU, DOCKER_POOLS, NetworkSettings, check_default_network


def network_settings(settings: Settings) -> NetworkSettings:
    given = NetworkSettings(
        bip=settings.bip,
        bip6=settings.bip6,
        range4=settings.fixed_cidr,
        range6=settings.fixed_cidr_v6,
        gateway4=settings.default_gateway,
        gateway6=settings.default_gateway_v6,
        ipv6=settings.ipv6,
        icc=settings.icc,
        mtu=settings.mtu or DEFAULT_MTU,
        ip_forward=settings.ip_forward,
        masquerade=settings.ip_masq,
        host_address="" if settings.ip == "0.0.0.0" else settings.ip,
        families=tuple(family for family, ours in ((4, settings.iptables), (6, settings.ip6tables)) if ours),
        direct_routing=settings.allow_direct_routing,
        accept_mark=settings.bridge_accept_fwmark,
        publish=settings.publish,
        network_options=settings.default_network_opts,
        pools=tuple((pool.base, pool.size) for pool in settings.default_address_pools) or DOCKER_POOLS,
        identity=_machine_identity(),
    )
    if settings.bridge == "none":
        return replace(given, has_bridge=False)
    return replace(given, bridge=settings.bridge) if settings.bridge else given


def check(settings: Settings) -> None:
    """Raises InvalidArgument, in dockerd's words where it has them."""
    if settings.bridge == "none" and settings.bip:
        raise InvalidArgument("You specified -b & --bip, mutually exclusive options. Please specify only one")
    if not settings.icc and not settings.iptables:
        raise InvalidArgument(
            "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. "
            "Please set --icc or --iptables to true"
        )
    check_default_network(network_settings(settings))


def _machine_identity() -> str:
    """What tells this machine from others, or its name where there is nothing better."""
    try:
        return Path("/etc/machine-id").read_text().strip() or socket.gethostname()
    except OSError:
        return socket.gethostname()
