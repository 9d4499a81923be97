"""Addresses of storage as people write them, for the ledger and for landing: secrets in them, and their connections."""

from __future__ import annotations

import re

# What a connection for a scheme may be, by the beginning of its type. The providers only warn about another
# one and go on with whatever credentials the machine has.
_CONNECTION_TYPES = {
    "s3": ("aws",), "s3a": ("aws",), "s3n": ("aws",),
    "gs": ("google", "gcp"), "gcs": ("google", "gcp"),
    "abfs": ("wasb", "adls", "azure"), "abfss": ("wasb", "adls", "azure"), "adl": ("wasb", "adls", "azure"),
}  # fmt: skip
#: Control characters and halves of characters: in no path, and in no text that people read.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def without_secret(path: str) -> str:
    """The path for a text that people read: of a password in it only what stands before its colon is left.

    Also where an author forgot the colon of the scheme; and what stands behind a ``?`` may be a signature.
    """
    path = re.sub(r"\?.*", "?***", path, flags=re.DOTALL)
    return re.sub(r"(?i)(//[^@:]*?)(?::|%3a).*@", r"\1:***@", UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", path))[:300]


def wrong_type(scheme: str, conn_id: str, kind: str) -> str | None:
    """What is wrong with a connection of this type for this scheme; None where nothing is."""
    wanted = _CONNECTION_TYPES.get(scheme)
    if wanted is None or kind.startswith(wanted):
        return None
    return f"The Airflow connection {conn_id!r} is of type {kind!r}, and {scheme}:// needs {' or '.join(wanted)}."
