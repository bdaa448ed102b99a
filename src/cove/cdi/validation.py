"""What the types of a CDI file do not say. Everything here raises InvalidArgument that begins with the field."""

from collections.abc import Iterator

from cove.cdi import names
from cove.cdi.document import ContainerEdits, Document
from cove.errors import InvalidArgument

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0")
HOOKS = frozenset({"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"})
_TYPES = frozenset({"", "b", "c", "u", "p"})


def check(document: Document) -> None:
    """The whole file."""
    version = document.cdi_version.removeprefix("v")
    if version not in VERSIONS:
        raise InvalidArgument(f'cdiVersion: invalid version "{document.cdi_version}"')
    if not names.is_kind(document.kind):
        raise InvalidArgument(f'kind: "{document.kind}" is not of the form vendor.com/class')
    for since, place in _newer_fields(document):
        if VERSIONS.index(since) > VERSIONS.index(version):
            raise InvalidArgument(f"{place}: the spec version must be at least v{since}")
    _check_devices(document)
    for place, edits in document.edits():
        _check_edits(place, edits)


def _check_devices(document: Document) -> None:
    if not document.devices:
        raise InvalidArgument("devices: invalid spec, no devices")
    seen: set[str] = set()
    for index, device in enumerate(document.devices):
        place = f"devices[{index}]"
        if not names.is_device(device.name):
            raise InvalidArgument(f'{place}.name: invalid device name "{device.name}"')
        if device.name in seen:
            raise InvalidArgument(f'{place}.name: invalid spec, multiple device "{device.name}"')
        if device.container_edits.empty:
            raise InvalidArgument(f"{place}.containerEdits: invalid device, empty device edits")
        seen.add(device.name)


def _newer_fields(document: Document) -> Iterator[tuple[str, str]]:
    """Fields of later versions of the specification than the first: the version, and the place of the field."""
    if document.annotations:
        yield "0.6.0", "annotations"
    if "." in document.kind.partition("/")[2]:
        yield "0.6.0", "kind"
    for index, device in enumerate(document.devices):
        if device.annotations:
            yield "0.6.0", f"devices[{index}].annotations"
        if device.name[:1].isdecimal():
            yield "0.5.0", f"devices[{index}].name"
    for place, edits in document.edits():
        for field, since, used in (
            ("netDevices", "1.1.0", edits.net_devices),
            ("intelRdt", "0.7.0", edits.intel_rdt is not None),
            ("additionalGids", "0.7.0", edits.additional_gids),
            ("deviceNodes: hostPath", "0.5.0", any(node.host_path for node in edits.device_nodes)),
            ("mounts: type", "0.4.0", any(mount.type for mount in edits.mounts)),
        ):
            if used:
                yield since, f"{place}.{field}"


def _check_edits(place: str, edits: ContainerEdits) -> None:
    _check_env(f"{place}.env", edits.env)
    for index, node in enumerate(edits.device_nodes):
        here = f"{place}.deviceNodes[{index}]"
        _check_path(f"{here}.path", node.path)
        if node.host_path:
            _check_path(f"{here}.hostPath", node.host_path)
        if node.type not in _TYPES:
            raise InvalidArgument(f'{here}.type: device "{node.path}": invalid type "{node.type}"')
        if node.permissions != "none" and not set(node.permissions) <= set("rwm"):
            raise InvalidArgument(f'{here}.permissions: device "{node.path}": invalid permissions "{node.permissions}"')
    for index, mount in enumerate(edits.mounts):
        here = f"{place}.mounts[{index}]"
        _check_path(f"{here}.containerPath", mount.container_path)
        if mount.type in ("", "bind", "none"):
            _check_path(f"{here}.hostPath", mount.host_path)
    for index, hook in enumerate(edits.hooks):
        here = f"{place}.hooks[{index}]"
        if hook.hook_name not in HOOKS:
            raise InvalidArgument(f'{here}.hookName: invalid hook name "{hook.hook_name}"')
        _check_path(f"{here}.path", hook.path)
        _check_env(f"{here}.env", hook.env)


def _check_path(field: str, path: str) -> None:
    if not path.startswith("/") or "\0" in path:
        raise InvalidArgument(f'{field}: "{path}" is not an absolute path')


def _check_env(field: str, env: list[str]) -> None:
    for index, entry in enumerate(env):
        if entry.find("=") <= 0 or "\0" in entry:
            raise InvalidArgument(f'{field}[{index}]: invalid environment variable "{entry}"')
