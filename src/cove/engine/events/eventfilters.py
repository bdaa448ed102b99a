"""Which events a client asked for, by Docker's rules. Pure."""

from cove.errors import CoveError
from cove.filters import Filters
from cove.reference import Reference
from cove.wire.events import Event

NAMES = "config container daemon event image label network node plugin scope secret service type volume".split()

_BY_OBJECT = "config container daemon network node plugin secret service volume".split()

_WITH_DETAIL = frozenset(("health_status", "exec_create", "exec_start"))
"""Actions that go on after a colon, and that a filter may name without what follows."""


def wanted(event: Event, filters: Filters) -> bool:
    """Whether an event passes every filter."""
    return (
        filters.one_of("type", event.type)
        and _has_action(event, filters)
        and filters.one_of("scope", event.scope)
        and filters.labels(event.actor.attributes)
        and all(_is_about(event, kind, filters) for kind in _BY_OBJECT)
        and _is_of_image(event, filters)
    )


def _has_action(event: Event, filters: Filters) -> bool:
    asked = filters.get("event") or ()
    if _WITH_DETAIL.isdisjoint(asked):
        return filters.one_of("event", event.action)
    return filters.prefix_of("event", event.action)


def _is_about(event: Event, kind: str, filters: Filters) -> bool:
    """A filter by object, ``container=web``: how its id or its name begins. Docker does not ask for its type."""
    asked = filters.get(kind)
    if not asked:
        return True
    names = (event.actor.id, event.actor.attributes.get("name", ""))
    return any(name.startswith(value) for name in names for value in asked)


def _is_of_image(event: Event, filters: Filters) -> bool:
    """``image=busybox``: the image itself or, for the event of a container, the image it was made from."""
    if not filters.get("image"):
        return True
    name = event.actor.attributes.get("name" if event.type == "image" else "image", "")
    names = (event.actor.id, name)
    return filters.one_of("image", *names, *(_without_tag(text) for text in names))


def _without_tag(text: str) -> str:
    try:
        return Reference.parse(text).familiar_name
    except CoveError:
        return text
