"""A container's first process, from the fork in the shim to execve.

``channel`` draws who says what to whom. The order of the steps below is the security of it: see each function.
"""

import socket
from typing import NoReturn

from cove.kernel.cgroups import Cgroup
from cove.oci.runtime import Spec
from cove.runtime.messages import StartShim
from cove.runtime.process import Stdio


def main(spec: Spec, start: StartShim, cgroup: Cgroup, stdio: Stdio, channel: socket.socket) -> NoReturn:
    """Become the container's program. Called in a child that was just forked; never returns and never raises.

    The shim has called ``namespaces.enter_pid`` before the fork. ``cgroup`` exists and has its limits. ``channel`` is
    the child's end of ``channel.pair()``; every other descriptor but ``stdio`` is closed first, the shim's end
    included, so the shim need not close anything in the child. Ends in execve, or sends Failure and exits with
    its code. With ``start.init`` the process stays as pid 1 and the program is its child.
    """
    raise NotImplementedError
