"""What a request names: repositories, tags, digests. The grammars are distribution-spec's."""

import re

from cove.digest import Digest
from cove.errors import InvalidArgument
from cove.registry.server.failures import DIGEST_INVALID, NAME_INVALID, RegistryError

NAME_LIMIT = 255
"""Characters of a repository's name; common clients take no more, with the registry's host."""

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


def repository(text: str) -> str:
    """Raises RegistryError for what is no repository's name."""
    if len(text) > NAME_LIMIT or not _NAME.fullmatch(text):
        raise RegistryError(NAME_INVALID, {"name": text})
    return text


def digest(text: str) -> Digest:
    """Raises RegistryError for what is no digest of an algorithm that is known here."""
    try:
        return Digest.parse(text)
    except InvalidArgument as error:
        raise RegistryError(DIGEST_INVALID, {"digest": text, "reason": error.message}) from None


def is_tag(text: str) -> bool:
    """Whether it can be a tag, and so is no digest."""
    return _TAG.fullmatch(text) is not None
