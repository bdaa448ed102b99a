"""Which containers a list shows: filters, order and limit."""

from collections.abc import Callable
from typing import Protocol

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.networking.connectivity import split_port
from cove.errors import CoveError, InvalidArgument
from cove.filters import Filters
from cove.images import Images

ACCEPTED = (
    "ancestor annotation before exited expose health id is-task isolation label name network publish since status "
    "volume"
).split()

HEALTHS = ("starting", "healthy", "unhealthy", "none")
STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")


class Connected(Protocol):
    """What is known of a container's place on networks."""

    def public_ports(self, container: Container) -> set[tuple[int, str]]:
        """The host's ports, with their protocols, that lead to it."""

    def networks(self, container: Container) -> dict[str, str]:
        """The networks that it is on, or is to be on: names and ids."""


def select(
    registry: Registry, images: Images, connected: Connected, filters: Filters, *, all_: bool, limit: int
) -> list[Container]:
    """The containers, newest first. Raises InvalidArgument (filter), NotFound (what before and since name)."""
    filters.check(ACCEPTED)
    for status in filters.get("status", ()):
        if status not in STATUSES:
            raise InvalidArgument(f"invalid filter 'status={status}'")
    for health in filters.get("health", ()):
        if health not in HEALTHS:
            raise InvalidArgument(f"unrecognized filter value for health: {health}")
    shown_anyway = all_ or limit > 0 or "status" in filters
    matches = _matcher(registry, images, connected, filters)
    newest_first = sorted(registry, key=lambda container: container.record.created, reverse=True)
    found = [container for container in newest_first if (shown_anyway or _active(container)) and matches(container)]
    return found[:limit] if limit > 0 else found


def _active(container: Container) -> bool:
    return container.running or container.status == "restarting"


def _matcher(registry: Registry, images: Images, connected: Connected, filters: Filters) -> Callable[[Container], bool]:
    before = [registry.get(ref).record.created for ref in filters.get("before", ())]
    since = [registry.get(ref).record.created for ref in filters.get("since", ())]
    exits = [_exit_code(text) for text in filters.get("exited", ())]
    ancestors = _ancestors(images, filters)
    published = _ports(filters, "publish")
    exposed = _ports(filters, "expose")
    wants_tasks = filters.boolean("is-task") is True

    def matches(container: Container) -> bool:
        record = container.record
        return (
            all(record.created < moment for moment in before)
            and all(record.created > moment for moment in since)
            and filters.one_of("status", container.status)
            and (not exits or (container.status == "exited" and record.state.exit_code in exits))
            and filters.prefix_of("id", record.id)
            and (filters.part_of("name", f"/{record.name}") or filters.part_of("name", record.name))
            and filters.labels(record.config.labels or {})
            and (ancestors is None or record.image in ancestors)
            and filters.labels(record.host_config.annotations or {}, "annotation")
            and _on_network(connected, container, filters)
            and _mounts(container, filters)
            and (not published or bool(published & connected.public_ports(container)))
            and (not exposed or bool(exposed & _exposed(container)))
            and filters.one_of("health", record.state.health.status if record.state.health else "none")
            and not wants_tasks
        )

    return matches


def _exit_code(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f"invalid filter 'exited={text}'") from None


def _ports(filters: Filters, name: str) -> set[tuple[int, str]]:
    """``80``, ``80/udp`` or ``8000-8010/tcp``. Raises InvalidArgument."""
    found = set()
    for text in filters.get(name, ()):
        numbers, _, protocol = text.partition("/")
        first, _, last = numbers.partition("-")
        (start, protocol), (end, _) = (split_port(f"{number}/{protocol}") for number in (first, last or first))
        found |= {(number, protocol) for number in range(start, end + 1)}
    return found


def _ancestors(images: Images, filters: Filters) -> set[str] | None:
    if "ancestor" not in filters:
        return None
    found: set[str] = set()
    for name in filters["ancestor"]:
        try:
            image, target = images.resolve(name), images.target(name)
            found.update(target.images if target.image == image.id else (image.id,))
        except CoveError:
            continue
    return found


def _on_network(connected: Connected, container: Container, filters: Filters) -> bool:
    """By name, or by the start of an id."""
    wanted = filters.get("network")
    if not wanted:
        return True
    networks = connected.networks(container)
    return any(value in networks or any(ident.startswith(value) for ident in networks.values()) for value in wanted)


def _mounts(container: Container, filters: Filters) -> bool:
    if "volume" not in filters:
        return True
    places = {place for mount in container.record.mounts for place in (mount.name, mount.source, mount.destination)}
    return any(value in places for value in filters["volume"])


def _exposed(container: Container) -> set[tuple[int, str]]:
    record = container.record
    return {
        split_port(key) for key in (*(record.config.exposed_ports or {}), *(record.host_config.port_bindings or {}))
    }
