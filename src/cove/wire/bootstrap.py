"""Requests of Cove's own that make images without a registry."""

from msgspec import field

from cove.wire.base import Wire


class BootstrapOptions(Wire):
    """Empty values are the machine's own settings. ``platform``: ``linux/arm64``, or Debian's name of a processor."""

    tag: str = ""
    mirror: str = ""
    suite: str = ""
    keyring: str = ""
    platform: str = ""
    variant: str = ""
    include: list[str] = field(default_factory=list)
    snapshot: str = ""


class SlimOptions(Wire):
    """``probe``: commands. ``keep``: paths, with all below them. ``keep_package``: names of installed packages.

    ``seconds``: after which a probe that still runs is stopped, and counts as done.
    """

    tag: str = ""
    probe: list[str] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)
    keep_package: list[str] = field(default_factory=list)
    seconds: float = 0.0
