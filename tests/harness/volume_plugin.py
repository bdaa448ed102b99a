"""A volume plug-in of Docker's protocol, on a unix socket: directories below one of its own."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any


class VolumePlugin:
    """``calls``: what was asked, in order: methods and bodies. ``refuse``: words that a method answers with."""

    def __init__(self, socket: Path, root: Path, scope: str = "global") -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refuse: dict[str, str] = {}
        self.volumes: dict[str, dict[str, str]] = {}
        self.mounted: dict[str, set[str]] = {}
        self._root = root
        self._scope = scope
        self._socket = socket
        socket.parent.mkdir(parents=True, exist_ok=True)
        self._server = _Server(str(socket), _Handler)
        self._server.plugin = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._socket.unlink(missing_ok=True)

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


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    plugin: VolumePlugin


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        answer = self.server.plugin.answer(self.path.removeprefix("/"), body)
        text = json.dumps(answer).encode()
        self.send_response(500 if answer.get("Err") else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_words: object) -> None:
        """Nothing."""
