"""Container Device Interface: what vendors say in files about their devices, and what it changes in a container.

``document`` is such a file as a type, ``parsing`` reads one and ``validation`` judges it; ``catalog`` knows all files
of the directories; ``edits`` turns what was chosen into changes of an OCI configuration. Source: the CDI specification,
1.1.0. May import ``errors`` and ``oci.runtime``. Start at ``catalog``.
"""

from cove.cdi.catalog import Catalog, Unresolvable
from cove.cdi.edits import Edits, apply, resolve

__all__ = ["Catalog", "Edits", "Unresolvable", "apply", "resolve"]
