"""A container of ``cove-oci`` by its record: what happens between two looks at its process."""

import os
import subprocess
from pathlib import Path

from cove.runtime.command.container import Container, start_time


class Ending(Container):
    """Its process ends just before it is signalled."""

    process: subprocess.Popen[bytes]

    def signal(self, number: int) -> None:
        self.process.kill()
        self.process.wait()
        super().signal(number)


def test_a_process_that_ends_by_itself_is_killed_as_well(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "600"])
    record = {"pid": process.pid, "start": start_time(process.pid), "cgroup": f"/cove-test-none-{os.getpid()}"}
    container = Ending(str(tmp_path), "box", record)
    container.process = process
    assert container.alive
    container.kill_all()
    assert not container.alive
