"""What a network that is to be made has from elsewhere: the daemon's defaults for its driver, or another's settings."""

from collections.abc import Mapping

import msgspec

from cove.errors import Forbidden, NotFound
from cove.network.catalogue import Catalogue
from cove.network.records import NetworkRecord


def with_defaults(wanted: NetworkRecord, options: Mapping[str, Mapping[str, str]]) -> NetworkRecord:
    """With the options that the daemon's configuration has for networks of its driver (``options``, by driver)."""
    defaults = options.get(wanted.driver, {})
    if wanted.config_from or not defaults:
        return wanted
    return msgspec.structs.replace(wanted, options={**defaults, **wanted.options})


def configured(wanted: NetworkRecord, catalogue: Catalogue) -> NetworkRecord:
    """A network with the settings of the one that it is to copy. Raises NotFound, Forbidden."""
    if not wanted.config_from:
        return wanted
    source = catalogue.named(wanted.config_from)
    if source is None or not source.config_only:
        raise NotFound(f'configuration network "{wanted.config_from}" does not exist')
    if wanted.config_only:
        raise Forbidden("a configuration network cannot depend on another configuration network")
    if wanted.pools or wanted.options or wanted.ipv6:
        raise Forbidden(
            "user-specified configurations are not supported if the network depends on a configuration network"
        )
    return msgspec.structs.replace(
        wanted,
        pools=source.pools,
        options=source.options,
        labels={**source.labels, **wanted.labels},
        ipv4=source.ipv4,
        ipv6=source.ipv6,
        ipam_options=source.ipam_options,
    )
