"""The rows of networks, endpoints and ports, read and written in single transactions."""

import sqlite3
from collections.abc import Iterable

from cove.errors import Conflict
from cove.network.records import ENDPOINTS, NETWORKS, PORTS, EndpointRecord, NetworkRecord, PortRecord


def load_rows(connection: sqlite3.Connection) -> tuple[list[NetworkRecord], list[EndpointRecord], list[PortRecord]]:
    """All that there are; networks in the order of their creation."""
    networks = sorted(NETWORKS.select(connection), key=lambda network: network.created)
    return networks, ENDPOINTS.select(connection), PORTS.select(connection)


def put_networks(connection: sqlite3.Connection, networks: Iterable[NetworkRecord]) -> None:
    for network in networks:
        NETWORKS.put(connection, network)


def insert_rows(
    connection: sqlite3.Connection, endpoints: Iterable[EndpointRecord], ports: Iterable[PortRecord]
) -> None:
    """Raises Conflict when an address or a host port is taken, or the network is gone."""
    try:
        for endpoint in endpoints:
            ENDPOINTS.insert(connection, endpoint)
        for port in ports:
            PORTS.insert(connection, port)
    except sqlite3.IntegrityError as error:
        raise Conflict(f"an address or port is taken: {error}") from error


def delete_rows(
    connection: sqlite3.Connection, endpoints: Iterable[EndpointRecord], ports: Iterable[PortRecord]
) -> None:
    """Rows that are gone already are skipped; a row of another container is left alone."""
    for endpoint in endpoints:
        ENDPOINTS.delete(connection, network=endpoint.network, container=endpoint.container)
    for port in ports:
        PORTS.delete(connection, protocol=port.protocol, address=port.address, port=port.port, container=port.container)
