"""Which containers a list shows: filters, order and limit."""

from collections.abc import Callable

from cove.engine.connectivity import network_mode, split_port, wanted
from cove.engine.container import Container
from cove.engine.registry import Registry
from cove.errors import CoveError, InvalidArgument
from cove.filters import Filters
from cove.images import Images

ACCEPTED = (
    "ancestor before exited expose health id is-task isolation label label! name network publish since status volume "
    "until"
).split()

STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")


def select(registry: Registry, images: Images, filters: Filters, *, all_: bool, limit: int) -> list[Container]:
    """The containers, newest first. Raises InvalidArgument (filter), NotFound (what before and since name)."""
    filters.check(ACCEPTED)
    for status in filters.get("status", ()):
        if status not in STATUSES:
            raise InvalidArgument(f"invalid filter 'status={status}'")
    shown_anyway = all_ or limit > 0 or any(name in filters for name in ("status", "exited"))
    matches = _matcher(registry, images, filters)
    newest_first = sorted(registry, key=lambda container: container.record.created, reverse=True)
    found = [container for container in newest_first if (shown_anyway or _active(container)) and matches(container)]
    return found[:limit] if limit > 0 else found


def _active(container: Container) -> bool:
    return container.running or container.status == "restarting"


def _matcher(registry: Registry, images: Images, filters: Filters) -> Callable[[Container], bool]:
    before = [registry.get(ref).record.created for ref in filters.get("before", ())]
    since = [registry.get(ref).record.created for ref in filters.get("since", ())]
    exits = [_exit_code(text) for text in filters.get("exited", ())]
    ancestors = _ancestors(images, filters)
    published = [_port(text) for text in filters.get("publish", ())]
    exposed = [_port(text) for text in filters.get("expose", ())]

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
            and filters.without_labels(record.config.labels or {})
            and (ancestors is None or record.image in ancestors)
            and _on_network(container, filters)
            and _mounts(container, filters)
            and (not published or any(port in _published(container) for port in published))
            and (not exposed or any(port in _exposed(container) for port in exposed))
            and filters.one_of("health", "none")
            and filters.boolean("is-task") is not True
        )

    return matches


def _exit_code(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f"invalid filter 'exited={text}'") from None


def _port(text: str) -> tuple[int, str]:
    return split_port(text)


def _ancestors(images: Images, filters: Filters) -> set[str] | None:
    if "ancestor" not in filters:
        return None
    found = set()
    for name in filters["ancestor"]:
        try:
            found.add(images.resolve(name).id)
        except CoveError:
            continue
    return found


def _on_network(container: Container, filters: Filters) -> bool:
    return filters.one_of("network", network_mode(container), *wanted(container))


def _mounts(container: Container, filters: Filters) -> bool:
    if "volume" not in filters:
        return True
    places = {place for mount in container.record.mounts for place in (mount.name, mount.source, mount.destination)}
    return any(value in places for value in filters["volume"])


def _published(container: Container) -> set[tuple[int, str]]:
    return {split_port(key) for key in container.record.host_config.port_bindings or {}}


def _exposed(container: Container) -> set[tuple[int, str]]:
    return {split_port(key) for key in container.record.config.exposed_ports or {}} | _published(container)
