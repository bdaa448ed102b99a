"""The options of a bridge network, checked before anything is made. Pure; Docker's words."""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address

from cove.errors import Forbidden, InvalidArgument
from cove.network.records import (
    BRIDGE_NAME_OPTION,
    DEFAULT_BRIDGE_OPTION,
    GATEWAY_MODE_OPTIONS,
    HOST_BINDING_OPTION,
    ICC_OPTION,
    INHIBIT_IPV4_OPTION,
    MASQUERADE_OPTION,
    MTU_OPTION,
    PREFIX_OPTION,
    PUBLISH_MODES,
    PUBLISH_OPTION,
    NetworkRecord,
    is_true,
)

GATEWAY_MODES = ("nat", "nat-unprotected", "routed", "isolated")
LONGEST_LINK_NAME = 15
"""Characters: IFNAMSIZ of linux/if.h, less the final zero."""

_LARGEST_MTU = 65535
_SMALLEST_MTU = 68
"""Of IPv4, RFC 791; a link with IPv6 needs 1280."""


def check(network: NetworkRecord) -> None:
    """Raises InvalidArgument that names the option, Forbidden for more than one subnet of an address family."""
    for label, value in network.options.items():
        if (parse := _PARSERS.get(label)) is not None:
            try:
                parse(value)
            except ValueError as error:
                raise InvalidArgument(f"failed to parse {label} value: {value} ({error})") from None
    versions = [pool.version for pool in network.pools]
    if len(set(versions)) < len(versions):
        raise Forbidden("bridge driver doesn't support multiple subnets")
    if not network.internal and any(network.gateway_mode(version) == "isolated" for version in (4, 6)):
        raise InvalidArgument("gateway mode 'isolated' can only be used for an internal network")
    if 6 in versions and network.mtu < 1280:
        raise InvalidArgument(f"invalid MTU number: {network.mtu} (IPv6 needs 1280)")


def refuse_conflicts(network: NetworkRecord, others: Sequence[NetworkRecord]) -> None:
    """Raises Forbidden when another network has the same bridge."""
    for other in others:
        if other.link and other.link == network.link:
            raise Forbidden(
                f"cannot create network {network.id} ({network.link}): conflicts with network {other.id} "
                f"({other.link}): networks have same bridge name"
            )


def check_link_name(name: str) -> None:
    """Raises ValueError for what the kernel takes for no name of a link."""
    if not 0 < len(name.encode()) <= LONGEST_LINK_NAME or name in (".", "..") or set(name) & set("/: \t\n\0"):
        raise ValueError(f"a link's name has 1 to {LONGEST_LINK_NAME} characters, none of them a space, / or :")


def _truth(text: str) -> None:
    try:
        is_true(text)
    except ValueError:
        raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax') from None


def _mtu(text: str) -> None:
    if not text.lstrip("+-").isascii() or not text.lstrip("+-").isdigit():
        raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) and not _SMALLEST_MTU <= int(text) <= _LARGEST_MTU:
        raise InvalidArgument(f"invalid MTU number: {text}")


def _mode(text: str) -> None:
    if text not in GATEWAY_MODES:
        raise ValueError(f"unknown gateway mode {text}")


def _publish(text: str) -> None:
    if text and text not in PUBLISH_MODES:
        raise ValueError(f"it must be {' or '.join(PUBLISH_MODES)}")


def _address(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        raise ValueError("nil ip") from None


def _prefix(text: str) -> None:
    if text:
        check_link_name(text + "0")


_PARSERS: Mapping[str, Callable[[str], None]] = {
    BRIDGE_NAME_OPTION: check_link_name,
    MTU_OPTION: _mtu,
    ICC_OPTION: _truth,
    MASQUERADE_OPTION: _truth,
    INHIBIT_IPV4_OPTION: _truth,
    DEFAULT_BRIDGE_OPTION: _truth,
    HOST_BINDING_OPTION: _address,
    PREFIX_OPTION: _prefix,
    PUBLISH_OPTION: _publish,
    **dict.fromkeys(GATEWAY_MODE_OPTIONS.values(), _mode),
}
