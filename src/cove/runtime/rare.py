"""Modules that few configurations need: loaded before the fork, since a forked child can import nothing any more.

The zygote does without them, so that nobody pays for what nobody asked for.
"""

from cove.oci.runtime import Process, Spec
from cove.runtime.manner import Beginning


def load(spec: Spec) -> None:
    """Import what init will need for this configuration. Raises ValueError for what this kernel or runtime has not."""
    linux = spec.get("linux", {})
    if not linux.get("cgroupsPath", "/").startswith("/"):
        from cove.runtime import scope  # noqa: F401
    if spec.get("hooks"):
        from cove.runtime import hooks  # noqa: F401
    kinds = {entry["type"] for entry in linux.get("namespaces", [])}
    if "user" in kinds or any(entry.get("uidMappings") for entry in spec.get("mounts", [])):
        from cove.runtime import mappings
    if any(entry.get("matchUser") for entry in spec.get("mounts", [])):
        from cove.runtime import mappings, owners  # noqa: F401
    if any("tmpcopyup" in entry.get("options", []) for entry in spec.get("mounts", [])):
        from cove.runtime import copyup  # noqa: F401
    if linux.get("intelRdt"):
        raise ValueError("linux.intelRdt: Intel RDT is not supported")
    if linux.get("personality"):
        from cove.runtime import scheduling  # noqa: F401
    if linux.get("mountLabel"):
        from cove.runtime import labels

        labels.check(spec["process"], spec)
    load_for_process(spec["process"])


def load_for_start(start: Beginning) -> None:
    """Import what init will need for what is not in the configuration."""
    if start.staged:
        from cove.kernel import staged_mounts  # noqa: F401


def load_for_process(process: Process) -> None:
    """Import what a process needs that few have. Raises ValueError."""
    if process.get("scheduler") or process.get("ioPriority") or process.get("execCPUAffinity"):
        from cove.runtime import scheduling  # noqa: F401
    if process.get("apparmorProfile") or process.get("selinuxLabel"):
        from cove.runtime import labels

        labels.check(process)
