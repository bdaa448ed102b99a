"""What was removed, kept for a while so that it can be brought back: rows, and directories that were moved aside.

Imports floors 0 and 1. Start reading at ``trash``. It knows nothing of what it keeps: an entry has a kind, the record
that its owner wrote, and the directories that go with it.
"""

from cove.trash.trash import Budget, Entry, Trash

__all__ = ["Budget", "Entry", "Trash"]
