"""``docker images`` and ``docker history``: which images to show, and how one was made."""

import re
from collections import Counter
from collections.abc import Callable, Mapping

from cove.errors import InvalidArgument, NotFound
from cove.filters import Filters
from cove.images.catalog import Catalog
from cove.images.records import HistoryItem, Image, Listed, seconds
from cove.reference import Reference
from cove.units import parse_moment

LIST_FILTERS = frozenset(("dangling", "label", "before", "since", "reference", "until"))
PRUNE_FILTERS = frozenset(("dangling", "until", "label", "label!"))


def select(catalog: Catalog, filters: Filters) -> list[Listed]:
    """The visible images that pass every filter, newest first, with the names that pass.

    Raises InvalidArgument for an unknown filter or a bad value, NotFound when ``before`` or ``since`` name no image.
    """
    filters.check(LIST_FILTERS)
    passes = _tests(catalog, filters)
    patterns = [pattern_of(text) for text in filters.get("reference", ())]
    dangling = filters.boolean("dangling")
    names = catalog.references_by_image()
    found = []
    for image in catalog.listed():
        own = names.get(image.id, [])
        shown = [name for name in own if any(matches(name) for matches in patterns)] if patterns else own
        if (patterns and not shown) or (dangling is not None and dangling == bool(own)):
            continue
        if all(test(image) for test in passes):
            found.append(Listed(image, shown))
    return sorted(found, key=lambda listed: (-listed.image.created, listed.image.id))


def shared_sizes(catalog: Catalog) -> dict[str, int]:
    """By image id: the bytes of its layers that another visible image has too."""
    images = list(catalog.visible())
    users = Counter(chain_id for image in images for chain_id in set(image.chain_ids))
    return {
        image.id: sum(
            size for chain_id, size in zip(image.chain_ids, image.layer_sizes, strict=False) if users[chain_id] > 1
        )
        for image in images
    }


def history(catalog: Catalog, image: Image) -> list[HistoryItem]:
    """How an image was made, newest step first. Steps without a layer have size 0."""
    sizes = iter(image.layer_sizes)
    items = [
        HistoryItem(
            id="<missing>",
            created=int(seconds(step.created)),
            created_by=step.created_by,
            tags=[],
            size=0 if step.empty_layer else next(sizes, 0),
            comment=step.comment,
        )
        for step in image.config.history or ()
    ][::-1]
    if items:
        tags = [name.familiar for name in catalog.references(image.id) if name.tag]
        top = items[0]
        items[0] = HistoryItem(image.id, top.created, top.created_by, tags, top.size, top.comment)
    return items


def labels(image: Image) -> Mapping[str, str]:
    """The labels of an image."""
    return (image.config.config.labels if image.config.config else None) or {}


def pattern_of(text: str) -> Callable[[Reference], bool]:
    """A test for references: shell pattern against the short form, with or without its tag; ``*`` stops at ``/``.

    Raises InvalidArgument.
    """
    regex = _shell_pattern(text)
    return lambda name: bool(regex.fullmatch(name.familiar) or regex.fullmatch(name.familiar_name))


def _tests(catalog: Catalog, filters: Filters) -> list[Callable[[Image], bool]]:
    tests: list[Callable[[Image], bool]] = []
    if filters.get("label"):
        tests.append(lambda image: filters.labels(labels(image)))
    for text in filters.get("until", ()):
        tests.append(_before(parse_moment(text) / 1e9))
    for name in filters.get("before", ()):
        tests.append(_before(_image(catalog, name).created))
    for name in filters.get("since", ()):
        tests.append(_since(_image(catalog, name).created))
    return tests


def _before(limit: float) -> Callable[[Image], bool]:
    return lambda image: image.created < limit


def _since(limit: float) -> Callable[[Image], bool]:
    return lambda image: image.created > limit


def _image(catalog: Catalog, name: str) -> Image:
    try:
        return catalog.resolve(name)
    except InvalidArgument as error:
        raise NotFound(f"No such image: {name}") from error


def _shell_pattern(text: str) -> re.Pattern[str]:
    parts, at = [], 0
    while at < len(text):
        character = text[at]
        at += 1
        if character == "*":
            parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
        elif character == "[":
            end = text.find("]", at + 1)
            if end < 0:
                raise InvalidArgument(f"invalid filter 'reference={text}': syntax error in pattern")
            parts.append("[" + text[at:end].replace("\\", "\\\\") + "]")
            at = end + 1
        elif character == "\\" and at < len(text):
            parts.append(re.escape(text[at]))
            at += 1
        else:
            parts.append(re.escape(character))
    try:
        return re.compile("".join(parts))
    except re.error:
        raise InvalidArgument(f"invalid filter 'reference={text}': syntax error in pattern") from None
