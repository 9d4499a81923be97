"""What a store of records has to do, whatever keeps them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from airflow_video_providers.exceptions import LedgerError, VideoProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.ledger.records import Key


class Store(Protocol):
    """Where records are kept. Values are JSON objects; nothing is ever deleted.

    Each operation either did what it says or raises; ``None`` from :meth:`read` means that the record
    certainly is not there.

    :param shared: True where every task sees the same records, False where a task sees only its own.
    """

    shared: bool

    def read(self, key: Key, /) -> dict[str, Any] | None:
        """The record, or None where there is none."""

    def create(self, key: Key, value: dict[str, Any], /) -> bool:
        """Write a record that does not exist yet. Of any number of callers at most one gets True.

        ``value["claim"]`` is different in each call, so that a caller recognises its own write when an
        answer was lost on the way.
        """

    def holds(self, key: Key, claim: str, /) -> bool:
        """Did :meth:`create` with this claim win, whatever its caller heard of it?"""

    def replace(self, key: Key, value: dict[str, Any], /) -> None:
        """Overwrite a record."""

    def list(self, prefix: Key, /) -> Iterator[dict[str, Any]]:
        """All records below ``prefix``. Only where ``shared``."""


class Nowhere:
    """Keeps nothing: stands in where there is no store at all."""

    shared = False

    def read(self, _key: Key) -> None:
        """Nothing is there."""

    def create(self, _key: Key, _value: dict[str, Any]) -> bool:
        """Nothing was there."""
        return True

    def holds(self, _key: Key, _claim: str) -> bool:
        """Nothing is there."""
        return False

    def replace(self, _key: Key, _value: dict[str, Any]) -> None:
        """Forgets it."""

    def list(self, _prefix: Key) -> Iterator[dict[str, Any]]:
        """Nothing is there."""
        return iter(())


@contextmanager
def readable(doing: str) -> Iterator[None]:
    """Turn whatever a store raises into LedgerError; this package's own errors pass."""
    try:
        yield
    except VideoProviderError:
        raise
    except Exception as error:
        what = f"The ledger of purchases could not be {doing}: {type(error).__name__}: {error}".rstrip(". \n")
        raise LedgerError(f"{what}.") from error
