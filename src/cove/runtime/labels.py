"""Labels of the kernel's security modules for the program: AppArmor's profile, SELinux's context.

``Labels`` is opened while /proc is the host's, since a container could have put something else there, and applied as
one of the last things before execve.
"""

import os
from contextlib import suppress
from typing import NamedTuple

from cove.oci.runtime import Process, Spec

_APPARMOR = "/sys/module/apparmor/parameters/enabled"
_SELINUX = "/sys/fs/selinux/enforce"
_ATTRIBUTES = "/proc/self/attr"


class Labels(NamedTuple):
    """Descriptors of the files that take the labels of the next execve, each with the text to write."""

    texts: tuple[tuple[int, str], ...]

    def apply(self) -> None:
        """Raises OSError when the kernel has no such profile or context."""
        for descriptor, text in self.texts:
            try:
                os.write(descriptor, text.encode())
            except OSError as error:
                raise OSError(error.errno, f"unable to apply the label {text!r}: {error.strerror}") from None
            finally:
                os.close(descriptor)


def wanted(process: Process) -> bool:
    return bool(process.get("apparmorProfile") or process.get("selinuxLabel"))


def check(process: Process, spec: Spec | None = None) -> None:
    """Raises ValueError, naming the field, for a label of a module that this kernel does not have enabled."""
    if process.get("apparmorProfile") and not _apparmor():
        raise ValueError("process.apparmorProfile: AppArmor is not enabled in this kernel")
    label = process.get("selinuxLabel") or (spec.get("linux", {}).get("mountLabel") if spec else None)
    if label and not os.path.exists(_SELINUX):
        field = "process.selinuxLabel" if process.get("selinuxLabel") else "linux.mountLabel"
        raise ValueError(f"{field}: SELinux is not enabled in this kernel")


def open_for(process: Process) -> Labels:
    """The labels of a process, to be applied later. Raises ValueError, OSError."""
    check(process)
    texts = []
    if profile := process.get("apparmorProfile"):
        path = f"{_ATTRIBUTES}/apparmor/exec"
        path = path if os.path.exists(path) else f"{_ATTRIBUTES}/exec"
        texts.append((os.open(path, os.O_WRONLY | os.O_CLOEXEC), f"exec {profile}"))
    if label := process.get("selinuxLabel"):
        texts.append((os.open(f"{_ATTRIBUTES}/exec", os.O_WRONLY | os.O_CLOEXEC), label))
    return Labels(tuple(texts))


def _apparmor() -> bool:
    with suppress(OSError), open(_APPARMOR, "rb") as file:
        return file.read(1) == b"Y"
    return False
