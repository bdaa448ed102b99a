"""What instructions make of an image's configuration. Pure."""

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cove.dockerfile import instructions as types
from cove.dockerfile.ports import parse_port
from cove.oci.image import Config, Healthcheck

SHELL = ["/bin/sh", "-c"]
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def with_path(config: Config) -> Config:
    """A configuration whose environment has a PATH, as every image that is built gets one."""
    if "PATH" in environment(config):
        return config
    return msgspec.structs.replace(config, env=[f"PATH={DEFAULT_PATH}", *(config.env or [])])


def environment(config: Config) -> dict[str, str]:
    """The variables by name."""
    return dict(entry.partition("=")[::2] for entry in config.env or [])


def shell(config: Config) -> list[str]:
    """What commands in shell form are given to."""
    return list(config.shell or SHELL)


def working_directory(config: Config, path: str) -> str:
    """An absolute path: ``path`` below the working directory, cleaned."""
    return clean(posixpath.join(config.working_dir or "/", path))


def clean(path: str) -> str:
    """A path from the root without ``.``, ``..`` and double slashes."""
    return posixpath.normpath("/" + path.lstrip("/")) if path.strip("/") else "/"


def command_line(instruction: types.Command, config: Config) -> list[str]:
    """The words that are executed: with the shell before them where it is the shell form."""
    if not instruction.shell:
        return list(instruction.words)
    return [*shell(config), *instruction.words]


class Configuring:
    """Carries instructions out on a configuration. ``args_escaped``: what a CMD sets ``ArgsEscaped`` to."""

    def __init__(self, config: Config, *, args_escaped: bool) -> None:
        self.config = config
        self._args_escaped = args_escaped
        self._commanded = False

    def apply(self, instruction: types.Instruction) -> None:
        """Instructions that say nothing of the configuration leave it as it is."""
        change = _CHANGES.get(type(instruction))
        if change is not None:
            self.config = msgspec.structs.replace(self.config, **change(self.config, instruction))
        if isinstance(instruction, types.Entrypoint) and not self._commanded:
            self.config = msgspec.structs.replace(self.config, cmd=None)
        if isinstance(instruction, types.Cmd):
            self.config = msgspec.structs.replace(self.config, args_escaped=self._args_escaped)
            self._commanded = True


def _env(config: Config, env: types.Env) -> dict[str, Any]:
    merged = environment(config) | {pair.name: pair.value for pair in env.pairs}
    return {"env": [f"{name}={value}" for name, value in merged.items()]}


def _label(config: Config, label: types.Label) -> dict[str, Any]:
    return {"labels": {**(config.labels or {}), **{pair.name: pair.value for pair in label.pairs}}}


def _expose(config: Config, expose: types.Expose) -> dict[str, Any]:
    ports: Mapping[str, dict[str, Any]] = {port: {} for word in expose.ports for port in parse_port(word).ports}
    return {"exposed_ports": {**(config.exposed_ports or {}), **ports}}


def _volume(config: Config, volume: types.Volume) -> dict[str, Any]:
    return {"volumes": {**(config.volumes or {}), **{path: {} for path in volume.paths}}}


def _health(config: Config, health: types.Healthcheck) -> dict[str, Any]:
    made = Healthcheck(
        test=list(health.test),
        interval=health.interval,
        timeout=health.timeout,
        start_period=health.start_period,
        start_interval=health.start_interval,
        retries=health.retries,
    )
    return {"healthcheck": made}


def _on_build(config: Config, onbuild: types.Onbuild) -> dict[str, Any]:
    return {"on_build": [*(config.on_build or []), onbuild.trigger]}


_CHANGES: dict[type[types.Instruction], Any] = {
    types.Env: _env,
    types.Label: _label,
    types.Expose: _expose,
    types.Volume: _volume,
    types.Healthcheck: _health,
    types.Onbuild: _on_build,
    types.Cmd: lambda config, cmd: {"cmd": command_line(cmd, config) or None},
    types.Entrypoint: lambda config, entry: {"entrypoint": command_line(entry, config) or None},
    types.User: lambda config, user: {"user": user.user},
    types.Workdir: lambda config, workdir: {"working_dir": working_directory(config, workdir.path)},
    types.Shell: lambda config, given: {"shell": list(given.words)},
    types.StopSignal: lambda config, stop: {"stop_signal": stop.signal},
}


def with_labels(config: Config, labels: Mapping[str, str]) -> Config:
    """With labels of whoever asked for the build."""
    return msgspec.structs.replace(config, labels={**(config.labels or {}), **labels}) if labels else config


def quoted_list(words: Sequence[str]) -> str:
    """``["a" "b"]``, as Go prints a list of quoted strings."""
    return "[" + " ".join(msgspec.json.encode(word).decode() for word in words) + "]"
