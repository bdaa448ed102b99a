"""Which files of a directory a build is going to want, so that the others need not be read.

In doubt it is all of them: where a base image is not here yet, where a pattern has to be looked for in several
directories, where a link may lead elsewhere. What the daemon does with what it gets is the same either way.
"""

from __future__ import annotations

import os
import re
import stat

from cove.cli.building.options import arguments
from cove.dockerfile import DockerfileError, Options, context_name, parse, plan
from cove.dockerfile.needs import BaseImage, bases, context_paths
from cove.dockerfile.wildcards import expression, has_wildcards
from cove.errors import CoveError, InvalidArgument
from cove.platform import Platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.build_contexts.preparing import Directory
    from cove.cli.session import Session
    from cove.flags import Values

MOST_MATCHES = 100
"""Of one pattern, that are sought one by one; of more the whole directory is taken."""


def needed(session: Session, values: Values, directory: Directory) -> set[str] | None:
    """Paths in a directory, of files and of directories with all that is in them; None is everything."""
    if directory.text is None or values.on("pull") or values.many("platform"):
        return None
    try:
        version = session.client.json("GET", "/version")
        here = Platform.parse(f"{version['Os']}/{version['Arch']}")
        planned = plan(parse(directory.text), Options(values.text("target"), arguments(values), here))
        named = {context_name(text.partition("=")[0]) for text in values.many("build-context")}
        if not named.isdisjoint(map(context_name, bases(planned))) or any(stage.platform for stage in planned.stages):
            return None
        images = {name: _image(session, name) for name in bases(planned)}
        found = [_real(directory.root, path) for path in context_paths(planned, images)]
    except (CoveError, DockerfileError):  # the daemon is going to tell of it
        return None
    return None if None in found else {path for paths in found for path in paths or ()}


def _image(session: Session, name: str) -> BaseImage:
    """Raises NotFound when it is not here."""
    config = session.client.json("GET", f"/images/{name}/json").get("Config") or {}
    pairs = (variable.partition("=") for variable in config.get("Env") or ())
    return BaseImage({name: value for name, _, value in pairs}, config.get("OnBuild") or ())


def _real(root: str, path: str) -> list[str] | None:
    """The paths that a source stands for, None when that cannot be told from names."""
    above, _, last = path.rpartition("/")
    if not path or has_wildcards(above):
        return None
    paths = _matches(root, above, path) if has_wildcards(last) else [path]
    return paths if paths is not None and not any(_leads_elsewhere(root, each) for each in paths) else None


def _matches(root: str, above: str, pattern: str) -> list[str] | None:
    try:
        wanted = re.compile(expression(pattern))
        names = os.listdir(os.path.join(root, above))
    except (InvalidArgument, OSError):
        return None
    paths = [f"{above}/{name}" if above else name for name in names]
    found = [path for path in paths if wanted.fullmatch(path)]
    return found if len(found) <= MOST_MATCHES else [above] if above else None


def _leads_elsewhere(root: str, path: str) -> bool:
    """Whether a path, or a directory on the way to it, is a link."""
    parts = path.split("/")
    for length in range(1, len(parts) + 1):
        try:
            mode = os.lstat(os.path.join(root, *parts[:length])).st_mode
        except OSError:  # there is nothing
            return False
        if stat.S_ISLNK(mode):
            return True
    return False
