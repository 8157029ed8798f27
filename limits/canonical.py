"""The canonical bytes of a frozen document (RFC 8785): what its SHA-256 identifies."""

from __future__ import annotations

from typing import Any

from .errors import MissingExtraError

__all__ = ["canonical_bytes"]


def canonical_bytes(document: dict[str, Any]) -> bytes:
    """The one way to write a document of finite numbers, texts, lists and objects."""
    try:
        import rfc8785
    except ImportError as error:
        raise MissingExtraError("freezing limits", "authoring", "rfc8785") from error
    return bytes(rfc8785.dumps(document))
