"""What a store of records has to do, whatever keeps them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_video_providers.core.errors import LedgerError, VideoProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.core.purchase.records import Key


#: Bytes; a record that is larger was not written by this package.
LARGEST = 1024 * 1024


class DamagedRecordError(ValueError):
    """Something stands where a record should be, and it is none.

    :param name: Its address in the store, for people.
    :param why: What is wrong with it.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} {why}")
        self.name = name
        self.why = why


@dataclass(frozen=True)
class Found:
    """One record as a listing found it.

    :param name: Its address in the store, for people.
    :param key: Its key, where the address says.
    :param value: The record; None where it is damaged.
    :param why: What is wrong with it.
    """

    name: str
    key: Key | None
    value: dict[str, Any] | None = None
    why: str | None = None


def parse(text: bytes | str, name: str) -> dict[str, Any]:
    """A record from its text.

    :raises DamagedRecordError: it is none.
    """
    if len(text) > LARGEST:
        raise DamagedRecordError(name, f"has {len(text)} bytes, more than a record")
    if not text.strip():
        raise DamagedRecordError(name, "is empty")
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DamagedRecordError(name, f"cannot be read as JSON ({error})") from error
    if not isinstance(value, dict):
        raise DamagedRecordError(name, f"holds a {type(value).__name__}, not a record")
    return value


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON's")


class Store(Protocol):
    """Where records are kept. Values are JSON objects; nothing of a purchase is ever deleted.

    Each operation either did what it says or raises; ``None`` from :meth:`read` means that the record
    certainly is not there, and :class:`DamagedRecordError` that something else is.

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

    def names(self, prefix: Key, /) -> list[str]:
        """The last parts of the keys below ``prefix``, damaged records included. Only where ``shared``."""

    def list(self, prefix: Key, /) -> Iterator[Found]:
        """All records below ``prefix``, damaged ones as what they are. Only where ``shared``."""


class Directory(Store, Protocol):
    """A store that every process reaches, where callbacks are kept beside the ledger."""

    def remove(self, key: Key, /) -> None:
        """Delete a record, if it is there: a callback's, which nobody needs any more. Never one of a purchase."""


class NoStore:
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

    def names(self, _prefix: Key) -> list[str]:
        """Nothing is there."""
        return []

    def list(self, _prefix: Key) -> Iterator[Found]:
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
