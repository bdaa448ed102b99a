"""``--platform`` of the commands about images: what the API is asked for."""

from __future__ import annotations

import json

from cove.platform import Platform


def encode(text: str) -> str | None:
    """``os/architecture[/variant]`` as the API wants it, an OCI platform in JSON; None for nothing.

    Raises InvalidArgument.
    """
    if not text:
        return None
    platform = Platform.parse(text)
    fields = {"architecture": platform.architecture, "os": platform.os, "variant": platform.variant}
    return json.dumps({name: value for name, value in fields.items() if value}, separators=(",", ":"))


def encode_all(texts: str | list[str]) -> list[str] | None:
    """The same of several, which may be separated by commas."""
    wanted = [texts] if isinstance(texts, str) else texts
    found = [encode(part) for text in wanted for part in text.split(",")]
    return [part for part in found if part] or None
