"""What a container is attached to: its mounts, its ports, its networks."""

from __future__ import annotations

from cove.cli.recreation.settings import Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Found = dict[str, Any]

_NAMELESS = ("", "default", "bridge")


def attached(found: Found, image: Found) -> Iterator[Setting]:
    """``found``: an inspection; ``image``: the ``Config`` of its image."""
    yield from _mounts(found, image)
    yield from _ports(found, image)
    yield from _networks(found)


def _mounts(found: Found, image: Found) -> Iterator[Setting]:
    host = found["HostConfig"]
    for bind in host.get("Binds") or []:
        yield Setting(["--volume", bind], {"volumes": [bind]})
    for place in found["Config"].get("Volumes") or {}:
        if place not in (image.get("Volumes") or {}):
            yield Setting(["--volume", place], {"volumes": [place]})
    for place, options in (host.get("Tmpfs") or {}).items():
        spec = f"{place}:{options}" if options else place
        yield Setting(["--tmpfs", spec], {"tmpfs": [spec]})
    for mount in host.get("Mounts") or []:
        yield Setting(["--mount", ",".join(_mount_fields(mount))], {"volumes": [_mount_keys(mount)]})


def _mount_fields(mount: Found) -> Iterator[str]:
    yield f"type={mount['Type']}"
    if mount.get("Source"):
        yield f"source={mount['Source']}"
    yield f"target={mount['Target']}"
    if mount.get("ReadOnly"):
        yield "readonly"
    bind, volume, tmpfs = (mount.get(f"{kind}Options") or {} for kind in ("Bind", "Volume", "Tmpfs"))
    if bind.get("Propagation"):
        yield f"bind-propagation={bind['Propagation']}"
    if bind.get("NonRecursive"):
        yield "bind-recursive=disabled"
    if volume.get("NoCopy"):
        yield "volume-nocopy"
    if volume.get("Subpath"):
        yield f"volume-subpath={volume['Subpath']}"
    yield from (f"volume-label={key}={value}" for key, value in (volume.get("Labels") or {}).items())
    if tmpfs.get("SizeBytes"):
        yield f"tmpfs-size={tmpfs['SizeBytes']}"
    if tmpfs.get("Mode"):
        yield f"tmpfs-mode={tmpfs['Mode']:o}"


def _mount_keys(mount: Found) -> Found:
    made: Found = {"type": mount["Type"], "target": mount["Target"]}
    if mount.get("Source"):
        made["source"] = mount["Source"]
    if mount.get("ReadOnly"):
        made["read_only"] = True
    bind, volume, tmpfs = (mount.get(f"{kind}Options") or {} for kind in ("Bind", "Volume", "Tmpfs"))
    if bind.get("Propagation"):
        made["bind"] = {"propagation": bind["Propagation"]}
    if volume.get("NoCopy") or volume.get("Subpath"):
        kept = {"nocopy": volume.get("NoCopy"), "subpath": volume.get("Subpath")}
        made["volume"] = {key: value for key, value in kept.items() if value}
    if tmpfs.get("SizeBytes") or tmpfs.get("Mode"):
        kept = {"size": tmpfs.get("SizeBytes"), "mode": tmpfs.get("Mode")}
        made["tmpfs"] = {key: value for key, value in kept.items() if value}
    return made


def _ports(found: Found, image: Found) -> Iterator[Setting]:
    bindings = found["HostConfig"].get("PortBindings") or {}
    for port, wishes in bindings.items():
        for wish in wishes or [{}]:
            address = wish.get("HostIp") or ""
            address = f"[{address}]" if ":" in address else address
            parts = [address] if address else []
            parts += [wish.get("HostPort") or ""] if address or wish.get("HostPort") else []
            spec = ":".join([*parts, port.removesuffix("/tcp")])
            yield Setting(["--publish", spec], {"ports": [spec]})
    for port in found["Config"].get("ExposedPorts") or {}:
        if port not in bindings and port not in (image.get("ExposedPorts") or {}):
            yield Setting(["--expose", port.removesuffix("/tcp")], {"expose": [port.removesuffix("/tcp")]})


def _networks(found: Found) -> Iterator[Setting]:
    mode = found["HostConfig"]["NetworkMode"]
    if mode in ("host", "none") or mode.startswith("container:"):
        yield Setting(["--network", mode], {"network_mode": mode})
        return
    networks = found["NetworkSettings"]["Networks"]
    for name, endpoint in sorted(networks.items(), key=lambda item: item[0] != mode):
        if name in _NAMELESS and len(networks) == 1:
            yield Setting([], {"network_mode": "bridge"})
            return
        own = (found["Id"][:12], found["Name"].removeprefix("/"))
        aliases = [alias for alias in endpoint.get("Aliases") or [] if alias not in own]
        addresses = endpoint.get("IPAMConfig") or {}
        fields = [f"name={name}", *(f"alias={alias}" for alias in aliases)]
        keys: Found = {"aliases": aliases} if aliases else {}
        for field, key, mine in (("ip", "ipv4_address", "IPv4Address"), ("ip6", "ipv6_address", "IPv6Address")):
            if addresses.get(mine):
                fields.append(f"{field}={addresses[mine]}")
                keys[key] = addresses[mine]
        word = name if len(fields) == 1 else ",".join(fields)
        yield Setting(["--network", word], {"networks": {name: keys}})
