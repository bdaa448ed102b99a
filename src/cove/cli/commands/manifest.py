"""``cove manifest``: manifests at registries, and lists of them that are put together here and pushed."""

from __future__ import annotations

import json

from cove.cli import credentials, manifest_lists
from cove.cli.command import Arguments, Command, at_least, exactly
from cove.cli.failure import Failure
from cove.cli.manifest_lists import LIST_TYPE
from cove.cli.progress import display
from cove.cli.references import canonical, split_reference
from cove.flags import BOOL, STRING, STRINGS, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Entry = dict[str, Any]

_INSECURE = Flag("insecure", BOOL, "Allow communication with an insecure registry")
_INDEXES = ("application/vnd.oci.image.index.v1+json", LIST_TYPE)


def fetch(session: Session, name: str) -> tuple[str, str, bytes]:
    """Media type, digest and bytes of what a name stands for at its registry. Raises CoveError."""
    headers = {"X-Registry-Auth": credentials.header(session, name)}
    response = session.client.stream("GET", f"/cove/registry/manifests/{name}", None, None, headers)
    body = response.read()
    return response.headers.get("content-type", ""), response.headers.get("docker-content-digest", ""), body


def _inspect(session: Session, values: Values, arguments: list[str]) -> int:
    *lists, name = arguments
    if lists:
        entry = manifest_lists.entry(session, canonical(lists[0]), canonical(name))
        session.print(json.dumps(entry, indent="\t"))
        return 0
    local = manifest_lists.read(session, canonical(name))
    if local is not None:
        session.print(json.dumps(manifest_lists.as_index(local), indent="\t"))
        return 0
    kind, digest, body = fetch(session, name)
    if not values.on("verbose"):
        session.stdout.write(body.decode("utf-8", "replace").rstrip("\n") + "\n")
        return 0
    session.print(json.dumps(_verbose(session, name, kind, digest, body), indent="\t"))
    return 0


def _verbose(session: Session, name: str, kind: str, digest: str, body: bytes) -> Any:
    """With the descriptor of each manifest."""
    if kind not in _INDEXES:
        return _described(name, {"mediaType": kind, "digest": digest, "size": len(body)}, body)
    repository = split_reference(name)[0]
    found = []
    for descriptor in json.loads(body)["manifests"]:
        _, _, part = fetch(session, f"{repository}@{descriptor['digest']}")
        found.append(_described(f"{repository}@{descriptor['digest']}", descriptor, part))
    return found


def _described(name: str, descriptor: Entry, body: bytes) -> Entry:
    return {"Ref": canonical(name), "Descriptor": descriptor, "Manifest": json.loads(body)}


def _create(session: Session, values: Values, arguments: list[str]) -> int:
    target, *names = arguments
    target = canonical(target)
    known = manifest_lists.read(session, target)
    if known is not None and not values.on("amend"):
        raise Failure("refusing to amend an existing manifest list with no --amend flag")
    entries = {entry["Ref"]: entry for entry in known or []}
    for name in names:
        entries[canonical(name)] = _entry(session, name)
    manifest_lists.write(session, target, list(entries.values()))
    session.print(f"Created manifest list {target}")
    return 0


def _entry(session: Session, name: str) -> Entry:
    """What a list says of a manifest; its platform is what its configuration says."""
    kind, digest, body = fetch(session, name)
    if kind in _INDEXES:
        raise Failure(f"{name} is a manifest list")
    headers = {"X-Registry-Auth": credentials.header(session, name)}
    looked = json.loads(session.client.stream("GET", f"/distribution/{name}/json", None, None, headers).read())
    return {
        "Ref": canonical(name),
        "Descriptor": {
            "mediaType": kind,
            "digest": digest,
            "size": len(body),
            "platform": (looked.get("Platforms") or [{}])[0],
        },
    }


def _annotate(session: Session, values: Values, arguments: list[str]) -> int:
    target, name = canonical(arguments[0]), canonical(arguments[1])
    entries = manifest_lists.read(session, target)
    entry = next((each for each in entries or [] if each["Ref"] == name), None)
    if entries is None or entry is None:
        raise Failure(f"manifest for image {arguments[1]} does not exist in {arguments[0]}")
    platform = entry["Descriptor"].setdefault("platform", {})
    for flag, field in (("os", "os"), ("arch", "architecture"), ("variant", "variant"), ("os-version", "os.version")):
        if values.text(flag):
            platform[field] = values.text(flag)
    if values.many("os-features"):
        features = [part for text in values.many("os-features") for part in text.split(",")]
        platform["os.features"] = list(dict.fromkeys([*platform.get("os.features", []), *features]))
    if not platform.get("os") or not platform.get("architecture"):
        raise Failure(f"manifest entry for image has unsupported os/arch combination: {_pair(platform)}")
    manifest_lists.write(session, target, entries)
    return 0


def _pair(platform: Entry) -> str:
    return f"{platform.get('os', '')}/{platform.get('architecture', '')}"


def _push(session: Session, values: Values, arguments: list[str]) -> int:
    target = canonical(arguments[0])
    entries = manifest_lists.read(session, target)
    if entries is None:
        raise Failure(f"{arguments[0]} not found")
    repository = split_reference(target)[0]
    for entry in entries:
        if split_reference(entry["Ref"])[0] != repository:
            _bring(session, entry, repository)
    body = json.dumps(manifest_lists.as_index(entries), indent=3).encode()
    headers = {"X-Registry-Auth": credentials.header(session, target), "Content-Type": LIST_TYPE}
    answer = json.loads(session.client.stream("PUT", f"/cove/registry/manifests/{target}", None, body, headers).read())
    session.print(str(answer["Digest"]))
    if values.on("purge"):
        manifest_lists.remove(session, target)
    return 0


def _bring(session: Session, entry: Entry, repository: str) -> None:
    """Have a manifest of another repository in the list's own, with its blobs."""
    source = f"{split_reference(entry['Ref'])[0]}@{entry['Descriptor']['digest']}"
    copy(session, source, f"{repository}@{entry['Descriptor']['digest']}", "", quiet=True)


def copy(session: Session, source: str, target: str, platform: str, *, quiet: bool) -> None:
    """Have the daemon copy between registries. Raises CoveError, Failure."""
    import io

    query = {"from": source, "to": target, "platform": platform or None}
    headers = {
        "X-Registry-Auth": credentials.header(session, source),
        "X-Registry-Auth-Target": credentials.header(session, target),
    }
    response = session.client.stream("POST", "/cove/registry/copy", query, None, headers)
    display(response.lines(), io.StringIO() if quiet else session.stdout)
    response.close()


def _rm(session: Session, values: Values, arguments: list[str]) -> int:
    missing = [name for name in arguments if not manifest_lists.remove(session, canonical(name))]
    if missing:
        raise Failure("\n".join(f"No such manifest: {name}" for name in missing))
    return 0


INSPECT = Command(
    _inspect,
    "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    Arguments(1, 2),
    (_INSECURE, Flag("verbose", BOOL, "Output additional info including layers and platform", "v")),
)
CREATE = Command(
    _create,
    "MANIFEST_LIST MANIFEST [MANIFEST...]",
    at_least(2),
    (Flag("amend", BOOL, "Amend an existing manifest list", "a"), _INSECURE),
)
ANNOTATE = Command(
    _annotate,
    "[OPTIONS] MANIFEST_LIST MANIFEST",
    exactly(2),
    (
        Flag("arch", STRING, "Set architecture"),
        Flag("os", STRING, "Set operating system"),
        Flag("os-features", STRINGS, "Set operating system feature"),
        Flag("os-version", STRING, "Set operating system version"),
        Flag("variant", STRING, "Set architecture variant"),
    ),
)
PUSH = Command(
    _push,
    "[OPTIONS] MANIFEST_LIST",
    exactly(1),
    (
        Flag("insecure", BOOL, "Allow push to an insecure registry"),
        Flag("purge", BOOL, "Remove the local manifest list after push", "p"),
    ),
)
RM = Command(_rm, "MANIFEST_LIST [MANIFEST_LIST...]", at_least(1))
