"""Contexts that do not come as a tar with the request: those that are kept from build to build, and remote ones."""

from cove.build.contexts.kept import SCHEME as KEPT
from cove.build.contexts.kept import KeptContext, KeptContexts, Offer
from cove.build.contexts.remote import RemoteContexts

__all__ = ["KEPT", "KeptContext", "KeptContexts", "Offer", "RemoteContexts"]
