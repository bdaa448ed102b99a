"""What a container may ask for on a network: addresses, and Docker's options of an endpoint. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import ip_address

from cove.errors import Conflict, InvalidArgument
from cove.network.bridge_options import check_link_name

IFNAME_OPTION = "com.docker.network.endpoint.ifname"
SYSCTLS_OPTION = "com.docker.network.endpoint.sysctls"

_LINK_LOCAL_LENGTHS = {4: 16, 6: 64}
_SYSCTL_FAMILIES = ("ipv4", "ipv6", "mpls")


def address(text: str, version: int) -> str:
    """An address as asked for, in its usual spelling. Raises InvalidArgument."""
    try:
        parsed = ip_address(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.version != version or parsed.is_unspecified:
        raise InvalidArgument(f"invalid IPv{version} address: {text}")
    return str(parsed)


def link_local(addresses: Iterable[str]) -> tuple[str, ...]:
    """Further addresses of an interface with the prefix length that link-local ones have. Raises InvalidArgument."""
    found = []
    for text in addresses:
        try:
            parsed = ip_address(text)
        except ValueError:
            parsed = None
        if parsed is None or parsed.is_unspecified:
            raise InvalidArgument(f"invalid link-local IP address: {text}")
        found.append(f"{parsed}/{_LINK_LOCAL_LENGTHS[parsed.version]}")
    return tuple(found)


def interface_name(options: Mapping[str, str], taken: Sequence[str]) -> str:
    """The name that the options give, or "". Raises InvalidArgument, Conflict."""
    wanted = options.get(IFNAME_OPTION, "")
    if not wanted:
        return ""
    try:
        check_link_name(wanted)
    except ValueError as error:
        raise InvalidArgument(f"invalid {IFNAME_OPTION} {wanted!r}: {error}") from None
    if wanted == "lo" or wanted in taken:
        raise Conflict(f"invalid {IFNAME_OPTION} {wanted!r}: the container has an interface of that name")
    return wanted


def free_name(prefix: str, taken: Collection[str]) -> str:
    """The prefix with the lowest number that nobody has."""
    return next(name for number in range(len(taken) + 1) if (name := f"{prefix}{number}") not in taken)


def sysctls(options: Mapping[str, str]) -> dict[str, str]:
    """``net.X.Y.IFNAME.Z=V,…`` as paths below /proc/sys, with IFNAME in them, to values. Raises InvalidArgument."""
    text = options.get(SYSCTLS_OPTION, "")
    found = {}
    for entry in text.split(",") if text else ():
        name, equals, value = entry.partition("=")
        parts = name.strip().split(".", 4)
        fits = len(parts) == 5 and parts[0] == "net" and parts[1] in _SYSCTL_FAMILIES and parts[3].upper() == "IFNAME"
        if not fits or not equals or any(part in ("", "..") or "/" in part for part in parts):
            raise InvalidArgument(
                f"unrecognised network interface sysctl '{entry}'; represent 'net.X.Y.ethN.Z=V' as "
                "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        found["/".join([*parts[:3], "IFNAME", parts[4]])] = value
    return found
