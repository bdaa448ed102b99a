"""Base images made from a Debian package mirror: no registry, nothing trusted but the machine's own apt keys.

Imports floors 0 and 1 and ``content``. Start reading with ``run``: it finds the archive (``machine``, ``apt_sources``,
``archive``), verifies the release (``release``, ``signature``), picks packages (``packages``, ``version``), unpacks
them (``deb``, ``tree``) and lets a recipe (``busybox``) finish the root. Whole distributions are ``distribution``: what
packages need (``relations``, ``index``, ``resolve``), and what is made of them (``variants``).
"""

from cove.images.bootstrap.machine import PLATFORMS, debian_architecture
from cove.images.bootstrap.progress import Progress
from cove.images.bootstrap.root import Root
from cove.images.bootstrap.run import RECIPES, Options, remove_stale, run

__all__ = ["PLATFORMS", "RECIPES", "Options", "Progress", "Root", "debian_architecture", "remove_stale", "run"]
