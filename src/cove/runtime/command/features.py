"""``features``: what this runtime does on this kernel, as the specification's features document."""

import json
import os
from typing import Any

from cove.kernel import capabilities, seccomp
from cove.kernel.cgroups import layout
from cove.kernel.namespaces import FILES
from cove.runtime import mount_options
from cove.runtime.command.arguments import expect
from cove.runtime.command.call import Call

_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def features(call: Call) -> int:
    _values, words = call.parse(())
    expect(words, 0, 0, "features")
    print(json.dumps(document(), indent=2))
    return 0


def document() -> dict[str, Any]:
    """Shapes: features-schema.json of the runtime specification."""
    from cove import __version__

    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.2.0",
        "hooks": list(_HOOKS),
        "mountOptions": mount_options.names(),
        "linux": _linux(),
        "annotations": {"dev.cove.version": __version__},
        "potentiallyUnsafeConfigAnnotations": [],
    }


def _linux() -> dict[str, Any]:
    found = layout()
    return {
        "namespaces": sorted(kind for kind, file in FILES.items() if os.path.exists(f"/proc/self/ns/{file}")),
        "capabilities": [name for number, name in enumerate(capabilities.NAMES) if number <= capabilities.LAST],
        "cgroup": {
            "v1": any(hierarchy.version == 1 for hierarchy in found.hierarchies),
            "v2": found.unified,
            "systemd": True,
            "systemdUser": False,
            "rdma": found.mount_point("rdma") is not None,
        },
        "seccomp": _seccomp(),
        "apparmor": {"enabled": True},
        "selinux": {"enabled": True},
        "intelRdt": {"enabled": False},
        "mountExtensions": {"idmap": {"enabled": True}},
    }


def _seccomp() -> dict[str, Any]:
    if not seccomp.supported():
        return {"enabled": False}
    from cove.seccomp.abi import ABIS
    from cove.seccomp.compiler import ACTIONS, FLAGS, OPERATORS

    return {
        "enabled": True,
        "actions": sorted(ACTIONS),
        "operators": sorted(f"SCMP_CMP_{name}" for name in OPERATORS),
        "archs": sorted(ABIS),
        "knownFlags": sorted(FLAGS),
        "supportedFlags": sorted(FLAGS),
    }
