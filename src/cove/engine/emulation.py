"""Whether this machine runs programs of a platform: itself, or by an emulator that its kernel knows (binfmt_misc)."""

from pathlib import Path

from cove.platform import Platform, host

BINFMT = Path("/proc/sys/fs/binfmt_misc")
EMULATORS = {"386": "i386", "amd64": "x86_64", "arm64": "aarch64", "loong64": "loongarch64", "mips64le": "mips64el"}
"""Architectures as the names of qemu's registrations have them, where these are others."""


def runs(wanted: Platform) -> bool:
    """Whether programs of this platform can be started."""
    return host().preference(wanted) is not None or _emulator(wanted).exists()


def lack(wanted: Platform) -> str:
    """What is missing for it, for people."""
    return (
        f"cannot run programs of {wanted} on {host()}: the host has no emulator for them (binfmt_misc, {BINFMT}); "
        "the package qemu-user-static brings one"
    )


def _emulator(wanted: Platform) -> Path:
    return BINFMT / f"qemu-{EMULATORS.get(wanted.architecture, wanted.architecture)}"
