"""A further process in a running container (an exec), from the fork in the shim to execve."""

import socket
from typing import NoReturn

from cove.kernel.cgroups import Cgroup
from cove.oci.runtime import Process
from cove.runtime.namespaces import Target
from cove.runtime.process import Stdio


def main(target: Target, process: Process, cgroup: Cgroup, stdio: Stdio, channel: socket.socket) -> NoReturn:
    """Become ``process`` in the container of ``target``. Called in a child that was just forked; never returns.

    As ``init.main``: closes every descriptor but its own, ends in execve, or sends Failure and exits with its code.
    Sends Console when ``process`` has a terminal. Does not wait for anything on the channel.
    """
    raise NotImplementedError
