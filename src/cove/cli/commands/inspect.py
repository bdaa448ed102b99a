"""``cove inspect``, and the ``inspect`` of each group."""

from __future__ import annotations

import json

from cove.cli.command import Command, at_least
from cove.cli.failure import Failure, describe
from cove.cli.options import OBJECT_FORMAT
from cove.cli.platforms import encode
from cove.errors import CoveError, InvalidArgument, NotFound, Unimplemented
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cove.cli.command import Run
    from cove.cli.session import Session
    from cove.flags import Values

    Fetch = Callable[[Session, str, Values], Any]

ALL_TYPES = ("config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume")


def _container(session: Session, name: str, values: Values) -> Any:
    size = 1 if values.on("size") else None
    return session.client.json("GET", f"/containers/{name}/json", {"size": size})


def _image(session: Session, name: str, values: Values) -> Any:
    return session.client.json("GET", f"/images/{name}/json")


def _image_of_platform(session: Session, name: str, values: Values) -> Any:
    query = {"platform": encode(values.text("platform"))}
    return session.client.json("GET", f"/images/{name}/json", query)


def _network(session: Session, name: str, values: Values) -> Any:
    return session.client.json("GET", f"/networks/{name}")


def _verbose_network(session: Session, name: str, values: Values) -> Any:
    return session.client.json("GET", f"/networks/{name}", {"verbose": 1 if values.on("verbose") else None})


def _volume(session: Session, name: str, values: Values) -> Any:
    return session.client.json("GET", f"/volumes/{name}")


_FETCHERS: dict[str, Fetch] = {"container": _container, "image": _image, "network": _network, "volume": _volume}


def _any(session: Session, name: str, values: Values) -> Any:
    """The first kind of object that has this name, in Docker's order."""
    wanted = values.text("type")
    if wanted:
        return _FETCHERS[wanted](session, name, values)
    for kind, fetch in _FETCHERS.items():
        try:
            found = fetch(session, name, values)
        except (NotFound, Unimplemented):
            continue
        except InvalidArgument as error:
            if "invalid reference format" not in error.message:
                raise
            continue
        if values.on("size") and kind != "container":
            session.warn(f"WARNING: --size ignored for {kind}")
        return found
    raise Failure(f"Error: No such object: {name}")


def _runner(fetch: Fetch) -> Run:
    def run(session: Session, values: Values, arguments: list[str]) -> int:
        render = _renderer(values.text("format"))
        found, rendered, problems = [], [], []
        for name in arguments:
            try:
                found.append(fetch(session, name, values))
                rendered.append(render(found[-1]) if render else "")
            except CoveError as error:
                problems.append(describe(error))
            except Failure as failure:
                problems.append(failure.message)
        session.stdout.write(_output(values.text("format"), found, rendered))
        if problems:
            raise Failure("\n".join(problems))
        return 0

    return run


def _image_config(session: Session, found: Any) -> Any:
    """The defaults of the image that a container was made of; {} when it is gone."""
    try:
        return session.client.json("GET", f"/images/{found['Image']}/json").get("Config") or {}
    except NotFound:
        return {}


def _recreated(session: Session, values: Values, arguments: list[str]) -> int:
    """``--as``: what would make the containers again."""
    form = values.text("as")
    if form not in ("run", "compose"):
        raise Failure(f'invalid --as "{form}": must be "run" or "compose"')
    if values.text("format"):
        raise Failure("conflicting options: cannot specify both --as and --format")
    containers = []
    for name in arguments:
        found = _container(session, name, values)
        containers.append((found, _image_config(session, found)))
    if form == "run":
        from cove.cli.recreation.command import command_line

        session.print("\n".join(command_line(*container) for container in containers))
    else:
        from cove.cli.recreation.compose import compose_file

        session.stdout.write(compose_file(containers))
    return 0


def _container_runner(fetch: Fetch) -> Run:
    plain = _runner(fetch)

    def run(session: Session, values: Values, arguments: list[str]) -> int:
        return (_recreated if values.changed("as") else plain)(session, values, arguments)

    return run


def _output(form: str, found: list[Any], rendered: list[str]) -> str:
    if not form:
        return (json.dumps(found, indent=4, ensure_ascii=False) if found else "[]") + "\n"
    if form == "json":
        return json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n"
    return "".join(f"{text}\n" for text in rendered) or "\n"


def _renderer(form: str) -> Callable[[Any], str] | None:
    if form in ("", "json"):
        return None
    from cove.cli.inspected import lookup
    from cove.cli.records import compile_template
    from cove.template.lexer import TemplateError

    template = compile_template(form, "template parsing error: ", 64)

    def render(found: Any) -> str:
        try:
            return template.render(found, lookup)
        except TemplateError as error:
            raise Failure(f"template parsing error: {error}") from None

    return render


def _run_any(session: Session, values: Values, arguments: list[str]) -> int:
    wanted = values.text("type")
    choices = '", "'.join(ALL_TYPES)
    if values.changed("type") and not wanted:
        raise Failure(f'type is empty: must be one of "{choices}"')
    if wanted and wanted not in ALL_TYPES:
        raise Failure(f'unknown type: "{wanted}": must be one of "{choices}"')
    if wanted and wanted not in _FETCHERS:
        raise Failure(f"this engine has no objects of type {wanted} yet")
    return _container_runner(_any)(session, values, arguments)


_AS = Flag("as", STRING, 'Print what would make the container again: "run" (a command) or "compose" (a file)')
_SIZE = Flag("size", BOOL, "Display total file sizes", "s")

ANY = Command(
    _run_any,
    "[OPTIONS] NAME|ID [NAME|ID...]",
    at_least(1),
    (
        OBJECT_FORMAT,
        Flag("size", BOOL, "Display total file sizes if the type is container", "s"),
        _AS,
        Flag("type", STRING, "Only inspect objects of the given type"),
    ),
)
CONTAINER = Command(
    _container_runner(_container), "[OPTIONS] CONTAINER [CONTAINER...]", at_least(1), (_AS, OBJECT_FORMAT, _SIZE)
)
IMAGE = Command(
    _runner(_image_of_platform),
    "[OPTIONS] IMAGE [IMAGE...]",
    at_least(1),
    (
        OBJECT_FORMAT,
        Flag(
            "platform",
            STRING,
            "Inspect a specific platform of the multi-platform image.\n"
            "If the image or the server is not multi-platform capable, the command will error out if the platform"
            " does not match.\n"
            "'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)",
            needs="1.49",
        ),
    ),
)
NETWORK = Command(
    _runner(_verbose_network),
    "[OPTIONS] NETWORK [NETWORK...]",
    at_least(1),
    (OBJECT_FORMAT, Flag("verbose", BOOL, "Verbose output for diagnostics", "v")),
)
VOLUME = Command(_runner(_volume), "[OPTIONS] VOLUME [VOLUME...]", at_least(1), (OBJECT_FORMAT,))
