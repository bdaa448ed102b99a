"""A volume plug-in of Docker's protocol, on a unix socket: directories below one of its own."""

from pathlib import Path
from typing import Any

from harness.json_plugin import JsonPlugin


class VolumePlugin(JsonPlugin):
    """``calls``: what was asked, in order: methods and bodies. ``refuse``: words that a method answers with."""

    def __init__(self, socket: Path, root: Path, scope: str = "global") -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refuse: dict[str, str] = {}
        self.volumes: dict[str, dict[str, str]] = {}
        self.mounted: dict[str, set[str]] = {}
        self._root = root
        self._scope = scope
        super().__init__(socket, self.answer)

    def asked(self, method: str) -> list[dict[str, Any]]:
        return [body for name, body in self.calls if name == f"VolumeDriver.{method}"]

    def answer(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((method, body))
        name = method.removeprefix("VolumeDriver.")
        if name in self.refuse:
            return {"Err": self.refuse[name]}
        if method == "Plugin.Activate":
            return {"Implements": ["VolumeDriver"]}
        if name == "Capabilities":
            return {"Capabilities": {"Scope": self._scope}}
        if name == "List":
            return {"Volumes": [self._shown(volume) for volume in self.volumes]}
        return self._of_volume(name, body)

    def _of_volume(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        volume = body["Name"]
        if method == "Create":
            self.volumes[volume] = body.get("Opts") or {}
            (self._root / volume).mkdir(parents=True, exist_ok=True)
            return {}
        if volume not in self.volumes:
            return {"Err": f"volume {volume} is not known here"}
        if method == "Get":
            return {"Volume": {**self._shown(volume), "Status": {"replicas": 3}}}
        if method == "Remove":
            del self.volumes[volume]
            return {}
        users = self.mounted.setdefault(volume, set())
        if method == "Unmount":
            users.remove(body["ID"])
            return {}
        if method == "Mount":
            users.add(body["ID"])
        return {"Mountpoint": str(self._root / volume)}

    def _shown(self, volume: str) -> dict[str, Any]:
        return {"Name": volume, "Mountpoint": str(self._root / volume) if self.mounted.get(volume) else ""}
