"""A configuration that is read again while the daemon runs."""

import json
import logging
from collections.abc import Callable

import msgspec

from cove.daemon.options import LATER, OPTIONS
from cove.daemon.settings import Settings

log = logging.getLogger(__name__)

RELOADED = tuple(option.name for option in OPTIONS if option.reloads)


class Reload:
    """The settings that hold now. Who must know of others puts a function into ``listeners``.

    ``checks``: each raises CoveError for settings that cannot be taken over.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.checks: list[Callable[[Settings], None]] = []
        self.listeners: list[Callable[[Settings], None]] = []

    def to(self, fresh: Settings) -> None:
        """Take over what can change while the daemon runs; the rest stays until it is started again.

        Raises CoveError, and changes nothing, for what cannot be.
        """
        for check in self.checks:
            check(fresh)
        changed = {name: value for name in RELOADED if (value := getattr(fresh, name)) != getattr(self.settings, name)}
        stays = [
            name.replace("_", "-")
            for name in Settings.__struct_fields__
            if name not in RELOADED and getattr(fresh, name) != getattr(self.settings, name)
        ]
        if stays:
            log.warning("takes effect when the daemon is started again: %s", ", ".join(stays))
        self.settings = msgspec.structs.replace(self.settings, **changed)
        for listener in self.listeners:
            listener(self.settings)


def without_effect(settings: Settings) -> list[str]:
    """Keys of settings that are not their defaults and whose feature is not there yet."""
    unset = Settings()
    later = [option.name for option in OPTIONS if option.help.startswith(LATER)]
    return [name.replace("_", "-") for name in later if getattr(settings, name) != getattr(unset, name)]


def attributes(settings: Settings) -> dict[str, str]:
    """What the daemon's event ``reload`` says: each value that can change, as Docker writes it."""
    values = {**msgspec.to_builtins(settings), "features": _map(settings.features)}
    return {
        field.encode_name: _text(values[field.encode_name])
        for field in msgspec.structs.fields(Settings)
        if field.name in RELOADED
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _map(values: dict[str, bool]) -> str:
    """As Go prints it."""
    return f"map[{' '.join(f'{name}:{str(values[name]).lower()}' for name in sorted(values))}]"
