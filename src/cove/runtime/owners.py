"""Binds that show the files of the source's owner as those of the container's user, and the other way round."""

import os

from cove.oci.idmaps import exchanged
from cove.oci.runtime import IdMapping, Spec
from cove.runtime import user


def match(spec: Spec, root: int) -> None:
    """Give the mounts that ask for it their mappings, by who the user is in the container whose root this is.

    Raises OSError, ValueError in Docker's words for a user that is not there.
    """
    wanted = [entry for entry in spec.get("mounts", []) if entry.get("matchUser")]
    if not wanted:
        return
    identity = user.resolve(root, spec["process"].get("user", {}))
    linux = spec.get("linux", {})
    uid, gid = _outside(identity.uid, linux.get("uidMappings")), _outside(identity.gid, linux.get("gidMappings"))
    for entry in wanted:
        found = os.stat(entry["source"])
        entry["uidMappings"], entry["gidMappings"] = exchanged(found.st_uid, uid), exchanged(found.st_gid, gid)
        del entry["matchUser"]


def _outside(number: int, mappings: list[IdMapping] | None) -> int:
    """An id of the container as the host has it."""
    for entry in mappings or ():
        if 0 <= number - entry["containerID"] < entry["size"]:
            return number - entry["containerID"] + entry["hostID"]
    return number
