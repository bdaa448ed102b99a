"""Images: names, manifests and configurations, and how they come in and go out.

Imports only floors 0 and 1, ``content`` and ``layers``. Start reading with ``images`` (the service that the engine
uses), then ``records``; ``archive_*`` are the load and save formats, ``imports`` makes an image of a bare tar.
"""

from cove.images.images import Images
from cove.images.leases import Lease
from cove.images.records import Deleted, HistoryItem, Image, Listed, Loaded, LoadProgress, Pruned, Untagged, Use
from cove.images.targets import Build, Part, Target

__all__ = [
    "Build",
    "Deleted",
    "HistoryItem",
    "Image",
    "Images",
    "Lease",
    "Listed",
    "LoadProgress",
    "Loaded",
    "Part",
    "Pruned",
    "Target",
    "Untagged",
    "Use",
]
