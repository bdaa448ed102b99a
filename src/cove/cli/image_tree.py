"""``cove images --tree``: each image with its platforms below it, after Docker's own drawing."""

from __future__ import annotations

from cove.cli.humanize import short_size
from cove.cli.tabwriter import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Item = dict[str, Any]

TITLES = "IMAGE\tID\tDISK USAGE\tCONTENT SIZE\tEXTRA"
IN_USE = "U"
NAMELESS = "<untagged>"


def draw(images: list[Item], truncate: bool) -> str:
    """The table; what is asked of the API has to have ``Manifests``. Images with several names have a line for each."""
    lines = [TITLES]
    for image in sorted(images, key=_names):
        shown = [manifest for manifest in image.get("Manifests") or [] if manifest["Kind"] == "image"]
        used = any(manifest["ImageData"]["Containers"] for manifest in shown)
        total, content = (sum(manifest["Size"][kind] for manifest in shown) for kind in ("Total", "Content"))
        lines += [_row(name, image["Id"], total, content, used, truncate) for name in _names(image)]
        lines += _platforms(shown, truncate)
    return align("\n".join(lines))


def _names(image: Item) -> list[str]:
    return sorted(image.get("RepoTags") or []) or [NAMELESS]


def _platforms(manifests: list[Item], truncate: bool) -> Iterator[str]:
    for number, manifest in enumerate(manifests, 1):
        branch = "└─" if number == len(manifests) else "├─"
        data, size = manifest["ImageData"], manifest["Size"]
        name = f"{branch} {_platform(data['Platform'])}"
        yield _row(name, manifest["ID"], size["Total"], size["Content"], bool(data["Containers"]), truncate)


def _platform(found: Item) -> str:
    parts = (found.get("os"), found.get("architecture"), found.get("variant"))
    return "/".join(part for part in parts if part) or "unknown"


def _row(name: str, identity: str, total: int, content: int, used: bool, truncate: bool) -> str:
    shown = identity.removeprefix("sha256:")[:12] if truncate else identity
    return "\t".join((name, shown, short_size(total), short_size(content), IN_USE if used else ""))
