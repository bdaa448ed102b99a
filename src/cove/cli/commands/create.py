"""``cove create``, and the creation that ``run`` shares with it."""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.creation.body import build
from cove.cli.creation.flags import CREATION_FLAGS
from cove.cli.creation.id_file import IdFile, IdFileError
from cove.cli.failure import Failure
from cove.cli.terminal import size
from cove.client.api import parse_version
from cove.errors import NotFound
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

PULLS = ("always", "missing", "never")


def with_help(session: Session, message: str, code: int) -> Failure:
    name = session.path.rpartition(" ")[2]
    return Failure(f"cove: {message}\n\nRun 'cove {name} --help' for more information", code)


def create_container(session: Session, values: Values, body: dict[str, Any]) -> str:
    """Create, pulling the image when it is missing; print warnings; return the identity."""
    pull = values.text("pull")
    if pull not in (*PULLS, ""):
        words = f'invalid pull option: \'{pull}\': must be one of "always", "missing" or "never"'
        raise with_help(session, words, 125)
    credentials: dict[str, Any] = {}
    if values.on("use-api-socket"):
        from cove.cli.creation.api_socket import hand_over, lend

        credentials = lend(session, body)
    body["HostConfig"]["ConsoleSize"] = list(size())
    with IdFile(values.text("cidfile")) as file:
        _fit_version(session, body)
        if pull == "always":
            _pull(session, values, body["Image"])
        created = _create(session, values, body, pull in ("missing", ""))
        file.write(created["Id"])
    if credentials:
        hand_over(session, created["Id"], credentials)
    for warning in created.get("Warnings") or []:
        session.warn(f"WARNING: {warning}")
    return str(created["Id"])


def _fit_version(session: Session, body: dict[str, Any]) -> None:
    """Two fields moved or went with newer versions of the API; the version is asked for only when one is there."""
    gone = [(body, "MacAddress", (1, 44)), (body["HostConfig"], "KernelMemory", (1, 42))]
    present = [(owner, key, since) for owner, key, since in gone if key in owner]
    if present:
        session.client.negotiate()
    for owner, key, since in present:
        if parse_version(session.client.version) >= since:
            del owner[key]


def _create(session: Session, values: Values, body: dict[str, Any], may_pull: bool) -> dict[str, Any]:
    query = {"name": values.text("name") or None, "platform": values.text("platform") or None}
    try:
        created: dict[str, Any] = session.client.json("POST", "/containers/create", query, body)
    except NotFound as error:
        image = body["Image"]
        if not may_pull or _is_identity(image) or not _concerns_image(error):
            raise
        if not values.on("quiet"):
            session.warn(f"Unable to find image '{with_tag(image)}' locally")
        _pull(session, values, image)
        created = session.client.json("POST", "/containers/create", query, body)
    return created


def _concerns_image(error: NotFound) -> bool:
    return "container" not in error.message.lower() or "image" in error.message.lower()


def _is_identity(image: str) -> bool:
    name = image.removeprefix("sha256:")
    return len(name) == 64 and all(char in "0123456789abcdef" for char in name)


def _pull(session: Session, values: Values, image: str) -> None:
    from cove.cli.pulling import pull

    pull(session, image, values.text("platform"), quiet=values.on("quiet"), to_stderr=True)


def with_tag(image: str) -> str:
    """A reference with its tag spelled out, and without the default registry's name."""
    if "@" in image:
        return image
    for prefix in ("docker.io/library/", "docker.io/"):
        image = image.removeprefix(prefix)
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    try:
        body = build(values, arguments[0], arguments[1:])
    except ValueError as error:
        raise with_help(session, str(error), 125) from None
    try:
        session.print(create_container(session, values, body))
    except IdFileError as error:
        raise Failure(str(error)) from error
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    at_least(1),
    (
        *CREATION_FLAGS,
        Flag("pull", STRING, 'Pull image before creating ("always", "|missing", "never")', default="missing"),
        Flag("use-api-socket", BOOL, "Bind mount Docker API socket and required auth"),
    ),
    interspersed=False,
)
