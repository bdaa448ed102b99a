"""``--cache-from`` and ``--cache-to``: which images carry records, and the directories that such images are kept in."""

from __future__ import annotations

import json
import os

from cove.cli.building.loading import load, unload
from cove.cli.building.options import fields
from cove.cli.failure import Failure
from cove.cli.files import open_input, read_pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

ARCHIVE = "cache.tar"
"""The name of the image's archive in a directory of ``type=local``."""
REPOSITORY = "cove-build-cache"


class Caching:
    """The caches of one build. ``query``: what the daemon is told of them."""

    def __init__(self, session: Session, values: Values, build: str) -> None:
        self._session = session
        self._loaded: list[str] = []
        self._directories: list[tuple[str, str]] = []
        self._pushed: list[str] = []
        sources = [self._source(text) for text in values.many("cache-from")]
        targets = [self._target(text, f"{REPOSITORY}:{build}") for text in values.many("cache-to")]
        self.query: dict[str, Any] = {
            "cachefrom": json.dumps(sources) if sources else None,
            "cacheto": json.dumps(targets) if targets else None,
        }

    def finish(self, push: Any) -> None:
        """Write and push what the build has left. ``push``: pushes an image by its name."""
        for name, directory in self._directories:
            os.makedirs(directory, exist_ok=True)
            response = self._session.client.stream("GET", "/images/get", {"names": name})
            with open(os.path.join(directory, ARCHIVE), "wb") as file:
                for piece in response.pieces():
                    file.write(piece)
        for name in self._pushed:
            push(name)

    def clean(self) -> None:
        """Remove the images that were only there for the way."""
        unload(self._session, [*self._loaded, *(name for name, _ in self._directories)], force=True)

    def _source(self, text: str) -> str:
        if "=" not in text:
            return text
        given = fields("cache-from", text)
        if given.get("type") == "local" and given.get("src"):
            return self._load(given["src"])
        if given.get("type", "registry") == "registry" and given.get("ref"):
            return given["ref"]
        raise Failure(f"invalid value for --cache-from: {text}: it needs type=registry,ref=… or type=local,src=…")

    def _load(self, directory: str) -> str:
        source = open_input(os.path.join(directory, ARCHIVE))
        self._loaded.append(load(self._session, read_pieces(source), f"--cache-from {directory}"))
        return self._loaded[-1]

    def _target(self, text: str, temporary: str) -> dict[str, str]:
        given = fields("cache-to", text) if "=" in text else {"type": "registry", "ref": text}
        mode = given.get("mode", "min")
        if given.get("type") == "inline":
            return {"type": "inline", "mode": mode}
        if given.get("type") == "local" and given.get("dest"):
            self._directories.append((temporary, given["dest"]))
            return {"type": "image", "ref": temporary, "mode": mode}
        if given.get("type") == "registry" and given.get("ref"):
            self._pushed.append(given["ref"])
            return {"type": "image", "ref": given["ref"], "mode": mode}
        raise Failure(f"invalid value for --cache-to: {text}: it needs type=inline, registry,ref=… or local,dest=…")
