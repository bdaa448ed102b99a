"""Build contexts as files: going through a directory, a tar of it, a list of it with digests, and git repositories.

Used by the command line for what a user names, and by the daemon for what it fetches itself. Imports ``dockerfile`` for
patterns and addresses, and nothing else of Cove. ``git`` is imported by those who fetch.
"""

from cove.contexts.digests import Digests
from cove.contexts.listing import is_small, listed, selected
from cove.contexts.tarring import contents, tar_pieces
from cove.contexts.walking import Entry, Selection, walk

__all__ = ["Digests", "Entry", "Selection", "contents", "is_small", "listed", "selected", "tar_pieces", "walk"]
