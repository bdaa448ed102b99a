"""Where an image's content is from: its labels, and releases that are pinned by them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from cove.errors import InvalidArgument
from cove.images.bootstrap.apt_sources import Source
from cove.images.bootstrap.packages import Package
from cove.images.bootstrap.release import Release

_DATE = "%Y-%m-%dT%H:%M:%SZ"

Pins = Mapping[str, datetime]
"""Of suites the date that their release must have."""


def labels(recipe: str, packages: Iterable[Package], releases: Sequence[Release]) -> dict[str, str]:
    """Without the mirror: which one served the content makes no difference."""
    taken = list(packages)
    suites = {package.suite for package in taken}
    dates = {r.source.suite: r.date.strftime(_DATE) for r in releases if r.source.suite in suites}
    return {
        "cove.bootstrap.packages": " ".join(sorted(f"{package.name}={package.version}" for package in taken)),
        "cove.bootstrap.recipe": recipe,
        "cove.bootstrap.snapshot": " ".join(f"{suite}={date}" for suite, date in sorted(dates.items())),
    }


def parse_pins(text: str) -> Pins:
    """What the label ``cove.bootstrap.snapshot`` says: ``SUITE=DATE …``. Raises InvalidArgument."""
    pins: dict[str, datetime] = {}
    for word in text.replace(",", " ").split():
        suite, _, date = word.partition("=")
        try:
            pins[suite] = datetime.strptime(date, _DATE).replace(tzinfo=UTC)
        except ValueError:
            raise InvalidArgument(
                f'invalid snapshot "{word}": use SUITE=DATE, as in bookworm=2026-07-11T10:16:37Z'
            ) from None
    return pins


def pinned(sources: Sequence[Source], pins: Pins) -> list[Source]:
    """The sources that are pinned; all when nothing is. Raises InvalidArgument for a suite that no source is for."""
    if not pins:
        return list(sources)
    if unknown := pins.keys() - {source.suite for source in sources}:
        raise InvalidArgument(f"invalid snapshot: no package source is for {', '.join(sorted(unknown))}")
    return [source for source in sources if source.suite in pins]


def check_pins(releases: Sequence[Release], pins: Pins) -> None:
    """Raises InvalidArgument for a mirror that has moved on, or not yet."""
    for release in releases:
        wanted = pins.get(release.source.suite)
        if wanted is not None and release.date != wanted:
            found = release.date.strftime(_DATE)
            raise InvalidArgument(
                f"the mirror has {release.source.suite} of {found}, not of {wanted.strftime(_DATE)}: use an archive of "
                "snapshots as --mirror"
            )
