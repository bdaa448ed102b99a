"""``cove build --check``: what is wrong with a Dockerfile, and what could be better, without building it."""

from __future__ import annotations

import json
import os

from cove.cli.build_contexts.preparing import Directory
from cove.cli.building.call import Call, read
from cove.cli.building.options import arguments
from cove.dockerfile import DockerfileError, ImageOrigin, Options, parse, plan
from cove.dockerfile.checks import Surroundings, check_text
from cove.dockerfile.checks.surroundings import Base
from cove.dockerfile.ignore import FILE_NAME, Matcher, parse_ignore_file
from cove.errors import CoveError, Unavailable
from cove.platform import Platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values


def check(session: Session, values: Values, place: str, call: Call) -> int:
    """Print the report; 1 when the Dockerfile cannot be built, breaks a rule of BuildKit's, or is to fail by advice."""
    prepared, text = read(place, values.text("file"))
    root = prepared.root if isinstance(prepared, Directory) else ""
    options = Options(values.text("target"), arguments(values))
    report = check_text(text, options, Surroundings(_bases(session, text, options), _ignored(root)))
    source = text.decode("utf-8", "replace")
    if call.as_json:
        session.print(json.dumps(report.document(prepared.dockerfile, source), indent=2))
    else:
        session.print(report.text(prepared.dockerfile, source).rstrip("\n"))
    return 1 if report.broken and not call.ignores else 0


def _bases(session: Session, text: bytes, options: Options) -> dict[str, Base]:
    """The base images that the engine has, if it runs: for a check nothing is pulled."""
    try:
        planned = plan(parse(text), options)
    except DockerfileError:  # the report tells of it
        return {}
    names = {stage.base.name for stage in planned.stages if isinstance(stage.base, ImageOrigin)}
    found = {}
    for name in sorted(names):
        try:
            found[name] = _base(session.client.json("GET", f"/images/{name}/json"))
        except Unavailable:
            break
        except CoveError:
            continue
    return found


def _base(image: dict[str, Any]) -> Base:
    config = image.get("Config") or {}
    variables = (variable.partition("=") for variable in config.get("Env") or ())
    return Base(
        {name: value for name, _, value in variables},
        bool(config.get("Shell")),
        config.get("User") or "",
        Platform(image.get("Os") or "", image.get("Architecture") or "", image.get("Variant") or ""),
    )


def _ignored(root: str) -> Matcher | None:
    """The patterns of the context's ignore file, none when it has none."""
    if not root:
        return None
    try:
        with open(os.path.join(root, FILE_NAME), "rb") as file:
            return Matcher(parse_ignore_file(file.read()))
    except OSError:
        return Matcher(())
