"""Which of the machine's package sources a base image is made from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cove.errors import InvalidArgument, NotFound
from cove.images.bootstrap.apt_sources import Source
from cove.images.bootstrap.machine import Machine

COMPONENT = "main"
SCHEMES = ("http://", "https://", "file:", "copy:")
_POCKETS = ("", "-updates", "-security", "/updates")
"""The suites that make up one release: the release itself, its updates, its security fixes."""


def choose_sources(
    configured: Sequence[Source], machine: Machine, *, mirror: str = "", suite: str = "", keyring: str = ""
) -> list[Source]:
    """The sources to take packages from: those of the running release, or of what the options say.

    With a mirror it is that mirror's ``suite`` (by default the running release's codename) alone. Without, it is
    every source that has the component main and is for ``suite``, or for the running release with its updates and
    security fixes, or, when there is none for that release, every source with main. Raises NotFound when nothing is
    left, InvalidArgument for a mirror that is no URI or has no suite.
    """
    usable = [source for source in configured if _usable(source, machine.architecture)]
    chosen = [_mirror(mirror, suite, usable, machine)] if mirror else _configured(usable, machine, suite)
    return [replace(source, signed_by=_keyring(keyring) if keyring else source.signed_by) for source in chosen]


def suite_sources(configured: Sequence[Source], machine: Machine, suite: str, keyring: str = "") -> list[Source]:
    """The sources for a suite and its pockets: those that are configured for it, else those of the running release's
    archives, with the other suite in the place of the release's. Raises NotFound, InvalidArgument.
    """
    usable = [source for source in configured if _usable(source, machine.architecture)]
    chosen = [source for source in usable if source.suite in _pockets(suite)]
    if not any(source.suite == suite for source in chosen):
        own = [source for source in usable if machine.codename and source.suite in _pockets(machine.codename)]
        chosen = [replace(source, suite=suite + source.suite.removeprefix(machine.codename)) for source in own]
    if not chosen:
        raise NotFound(f'no apt source on this machine is for suite "{suite}": pass --mirror')
    return [replace(each, signed_by=_keyring(keyring) if keyring else each.signed_by) for each in _distinct(chosen)]


def _usable(source: Source, architecture: str) -> bool:
    for_us = not source.architectures or architecture in source.architectures
    return for_us and COMPONENT in source.components and source.uri.startswith(SCHEMES)


def _configured(usable: Sequence[Source], machine: Machine, suite: str) -> list[Source]:
    if not usable:
        raise NotFound(f'no apt source on this machine has a component "{COMPONENT}": pass --mirror')
    if suite:
        chosen = [source for source in usable if source.suite == suite]
        if not chosen:
            known = ", ".join(dict.fromkeys(source.suite for source in usable))
            raise NotFound(f'no apt source on this machine is for suite "{suite}" (there is: {known}): pass --mirror')
        return _distinct(chosen)
    release = [source for source in usable if machine.codename and source.suite in _pockets(machine.codename)]
    return _distinct(release or usable)


def _pockets(codename: str) -> list[str]:
    return [codename + pocket for pocket in _POCKETS]


def _distinct(sources: Sequence[Source]) -> list[Source]:
    found: dict[tuple[str, str], Source] = {}
    for source in sources:
        found.setdefault((source.uri, source.suite), source)
    return list(found.values())


def _mirror(mirror: str, suite: str, usable: Sequence[Source], machine: Machine) -> Source:
    """The named mirror, with the keys that apt has for that suite, or else for the running release."""
    if not mirror.startswith(SCHEMES):
        raise InvalidArgument(f'invalid mirror "{mirror}": it must start with http://, https:// or file:')
    suite = suite or machine.codename
    if not suite:
        raise InvalidArgument("suite is required with mirror: this machine's release has no codename")
    known = next((source for name in (suite, machine.codename) for source in usable if source.suite == name), None)
    return Source(
        uri=mirror.rstrip("/"),
        suite=suite,
        components=(COMPONENT,),
        signed_by=known.signed_by if known else "",
        check_valid_until=known.check_valid_until if known else None,
        origin="--mirror",
    )


def _keyring(path: str) -> str:
    absolute = Path(path).absolute()
    if not absolute.is_file():
        raise InvalidArgument(f'invalid keyring "{path}": no such file')
    return str(absolute)
