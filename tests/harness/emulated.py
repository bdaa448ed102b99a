"""A coved in a mount namespace with an emulator of its own for the programs of a processor that no other test uses."""

from harness.daemon import Daemon

PLATFORM, ARCHITECTURE = "linux/ppc64le", "ppc64el"
"""As images and as Debian call it."""
EMULATOR = "qemu-ppc64le-static"
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x15\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\x00"
_SCRIPT = (
    "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && "
    'printf \'%s\' "$1" >/proc/sys/fs/binfmt_misc/register && shift && exec "$@"'
)


class Emulated(Daemon):
    """The registration goes with the mount, and that with the last process of the daemon's."""

    def argv(self) -> list[str]:
        registration = f":qemu-ppc64le:M::{_MAGIC}:{_MASK}:/usr/bin/{EMULATOR}:F"
        return ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", registration, *super().argv()]
