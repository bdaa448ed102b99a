"""``cove image copy`` and ``cove image referrers``: images at registries, without pulling them."""

from __future__ import annotations

import json

from cove.cli import credentials
from cove.cli.command import Command, exactly
from cove.cli.commands.manifest import copy
from cove.cli.formatter import show
from cove.cli.humanize import size
from cove.cli.view import View
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values

REFERRERS = View(
    "*formatter.referrersContext",
    ("Digest", "ArtifactType", "Size"),
    {
        "Digest": ("DIGEST", lambda item: item["digest"]),
        "ArtifactType": ("ARTIFACT TYPE", lambda item: item.get("artifactType", "")),
        "MediaType": ("MEDIA TYPE", lambda item: item["mediaType"]),
        "Size": ("SIZE", lambda item: size(item["size"])),
        "Annotations": ("ANNOTATIONS", lambda item: json.dumps(item.get("annotations", {}))),
    },
)


def _copy(session: Session, values: Values, arguments: list[str]) -> int:
    copy(session, arguments[0], arguments[1], values.text("platform"), quiet=values.on("quiet"))
    return 0


def _referrers(session: Session, values: Values, arguments: list[str]) -> int:
    headers = {"X-Registry-Auth": credentials.header(session, arguments[0])}
    query = {"type": values.text("artifact-type") or None}
    found = json.loads(
        session.client.stream("GET", f"/cove/registry/referrers/{arguments[0]}", query, None, headers).read()
    )
    show(session, REFERRERS, found["manifests"], values.text("format"))
    return 0


COPY = Command(
    _copy,
    "[OPTIONS] SOURCE TARGET",
    exactly(2),
    (
        Flag("platform", STRING, "Copy only the manifest for this platform: os[/arch[/variant]]"),
        Flag("quiet", BOOL, "Do not show how it goes", "q"),
    ),
    long="Copy an image from one registry to another, with all its platforms, without keeping it here.",
)
LIST_REFERRERS = Command(
    _referrers,
    "[OPTIONS] IMAGE",
    exactly(1),
    (
        Flag("artifact-type", STRING, "Show only those of this type"),
        Flag("format", STRING, "Format output using a Go template"),
    ),
    long="List what refers to an image at its registry: signatures, attestations, and the like.",
)
