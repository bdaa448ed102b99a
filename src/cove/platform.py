"""Platforms: ``os[/architecture[/variant]]``, normalised as containerd's platforms package does."""

import os
import re
from dataclasses import dataclass

from cove.errors import InvalidArgument

_PART = re.compile(r"[A-Za-z0-9_.-]+")
_ARCHITECTURES = {
    "i386": ("386", ""),
    "i686": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
}
_SYSTEMS = {"macos": "darwin"}
_KNOWN_SYSTEMS = {"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "illumos", "wasi", "android"}
_ARM_FALLBACK = ("v8", "v7", "v6", "v5")


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image is for, in normal form: ``amd64`` not ``x86_64``, no variant where it is the default."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """Read ``linux``, ``arm64`` or ``os/architecture[/variant]``; what is left out is this machine's.

        Raises InvalidArgument with the text in it, in Docker's words.
        """
        parts = text.split("/")
        for part in parts:
            if not _PART.fullmatch(part):
                raise InvalidArgument(
                    f'"{part}" is an invalid component of "{text}": platform specifier component must match '
                    f'"^{_PART.pattern}$": invalid argument'
                )
        if len(parts) > 3:
            raise InvalidArgument(f'"{text}": cannot parse platform specifier: invalid argument')
        if len(parts) > 1:
            return cls(*parts).normal()
        here = host()
        if text.lower() in _KNOWN_SYSTEMS | set(_SYSTEMS):
            return cls(text, here.architecture, here.variant).normal()
        return cls(here.os, text).normal()

    def normal(self) -> "Platform":
        """The same platform in normal form."""
        system, architecture, variant = self.os.lower(), self.architecture.lower(), self.variant.lower()
        architecture, default = _ARCHITECTURES.get(architecture, (architecture, ""))
        variant = variant or default
        if variant and variant[0].isdigit() and architecture in ("arm", "arm64"):
            variant = f"v{variant}"
        if (architecture, variant) in (("arm64", "v8"), ("amd64", "v1")):
            variant = ""
        if architecture == "arm" and not variant:
            variant = "v7"
        return Platform(_SYSTEMS.get(system, system), architecture, variant)

    def preference(self, offered: "Platform") -> int | None:
        """How well ``offered`` serves this platform: 0 is exact, more is worse, None is not at all."""
        wanted, offer = self.normal(), offered.normal()
        if wanted.os != offer.os:
            return None
        if wanted == offer:
            return 0
        if wanted.architecture == offer.architecture == "arm":
            return _older_arm(wanted.variant, offer.variant)
        if wanted.architecture == offer.architecture == "amd64":
            return _older_amd64(wanted.variant, offer.variant)
        if wanted.architecture == "arm64" and offer.architecture == "arm":
            older = _older_arm("v8", offer.variant)
            return None if older is None else older + 10
        return None

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def _older_arm(wanted: str, offered: str) -> int | None:
    if wanted not in _ARM_FALLBACK or offered not in _ARM_FALLBACK:
        return None
    distance = _ARM_FALLBACK.index(offered) - _ARM_FALLBACK.index(wanted)
    return distance if distance >= 0 else None


def _older_amd64(wanted: str, offered: str) -> int | None:
    levels = [int(variant[1:] or 0) if variant[1:].isdigit() else 0 for variant in (wanted or "v1", offered or "v1")]
    distance = levels[0] - levels[1]
    return distance if distance >= 0 else None


def host() -> Platform:
    """The platform of this machine."""
    here = os.uname()
    return Platform(here.sysname, here.machine).normal()
