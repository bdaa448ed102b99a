"""``cove images``"""

from __future__ import annotations

from cove.cli.command import Arguments, Command
from cove.cli.failure import Failure
from cove.cli.formatter import config_format, show, uses
from cove.cli.humanize import ago, local_time, short_size, size
from cove.cli.options import LIST_FORMAT, encode_filters, filters
from cove.cli.view import View
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Item = dict[str, Any]

NONE = "<none>"
COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size")
WITH_DIGESTS = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")


def image_view(truncate: bool) -> View:
    """What can be shown of a row that ``rows`` made of an image."""

    return View(
        "*formatter.imageContext",
        COLUMNS,
        {
            "ID": ("IMAGE ID", lambda item: short(item["Id"]) if truncate else item["Id"]),
            "Repository": ("REPOSITORY", lambda item: item["repository"]),
            "Tag": ("TAG", lambda item: item["tag"]),
            "Digest": ("DIGEST", lambda item: item["digest"]),
            "CreatedSince": ("CREATED", lambda item: ago(item["Created"])),
            "CreatedAt": ("CREATED AT", lambda item: local_time(item["Created"])),
            "Size": ("SIZE", lambda item: short_size(item["Size"])),
            "Containers": ("CONTAINERS", lambda item: _count(item.get("Containers", -1))),
            "VirtualSize": ("SIZE", lambda item: size(item["Size"])),
            "SharedSize": ("SHARED SIZE", lambda item: _known_size(item.get("SharedSize", -1))),
            "UniqueSize": ("UNIQUE SIZE", _unique_size),
        },
    )


def short(identity: str) -> str:
    return identity.removeprefix("sha256:")[:12]


def _count(value: int) -> str:
    return "N/A" if value == -1 else str(value)


def _known_size(value: int) -> str:
    return "N/A" if value == -1 else size(value)


def _unique_size(item: Item) -> str:
    shared = item.get("SharedSize", -1)
    return "N/A" if shared == -1 or item["Size"] == -1 else size(item["Size"] - shared)


def rows(images: list[Item], digests: bool) -> Iterator[Item]:
    """A row for each name of each image; for each digest of a name too when they are wanted."""
    for image in images:
        tags = [tag for tag in image.get("RepoTags") or [] if tag != f"{NONE}:{NONE}"]
        named = [digest for digest in image.get("RepoDigests") or [] if digest != f"{NONE}@{NONE}"]
        repositories = {name.rpartition("@")[0]: name.rpartition("@")[2] for name in named}
        for repository, tag in (name.rpartition(":")[::2] for name in tags):
            digest = repositories.pop(repository, NONE) if digests else repositories.get(repository, NONE)
            yield {**image, "repository": repository, "tag": tag, "digest": digest}
        if not tags or digests:
            for repository, digest in repositories.items():
                yield {**image, "repository": repository, "tag": NONE, "digest": digest}
        if not tags and not repositories:
            yield {**image, "repository": NONE, "tag": NONE, "digest": NONE}


def _tree(session: Session, values: Values, query: Item) -> int:
    for flag in ("quiet", "digests", "format"):
        if values.changed(flag):
            raise Failure(f"--{flag} is not yet supported with --tree")
    from cove.cli.image_tree import draw

    images = session.client.json("GET", "/images/json", {**query, "manifests": 1})
    session.print(draw(images, not values.on("no-trunc")))
    return 0


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    form = config_format(session, "imagesFormat", values.text("format"), values.on("quiet"))
    wanted = list(values.many("filter"))
    if arguments:
        wanted.append(("reference", arguments[0]))
    query = {"all": 1 if values.on("all") else None, "filters": encode_filters(wanted)}
    if values.on("tree"):
        return _tree(session, values, query)
    images = session.client.json("GET", "/images/json", query)
    digests = values.on("digests") or uses(form, ".Digest")
    view = image_view(not values.on("no-trunc"))
    columns = WITH_DIGESTS if values.on("digests") else COLUMNS
    quiet = "ID" if values.on("quiet") else ""
    show(session, view, list(rows(images, digests)), form, columns, quiet)
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] [REPOSITORY[:TAG]]",
    Arguments(0, 1),
    (
        Flag("all", BOOL, "Show all images (default hides intermediate images)", "a"),
        Flag("digests", BOOL, "Show digests"),
        filters(),
        LIST_FORMAT,
        Flag("no-trunc", BOOL, "Don't truncate output"),
        Flag("quiet", BOOL, "Only show image IDs", "q"),
        Flag("tree", BOOL, "List multi-platform images as a tree (EXPERIMENTAL)", needs="1.47"),
    ),
)
