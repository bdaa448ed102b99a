"""Docker's own engine, from Debian's package, with roots and a network namespace of its own: a peer to compare with."""

from harness.engine import Engine


class Peer(Engine):
    def argv(self) -> list[str]:
        return [
            "dockerd",
            f"--data-root={self.data_root}",
            f"--exec-root={self.exec_root}",
            f"--host=unix://{self.socket}",
            f"--pidfile={self.pidfile}",
        ]

    def close(self) -> None:
        for container in self.sdk.containers.list(all=True, ignore_removed=True):
            container.remove(force=True, v=True)
        super().close()
