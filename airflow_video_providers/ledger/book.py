"""The ledger as the purchase sees it: attempts of one buyer, in order, over any store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from airflow_video_providers.exceptions import LedgerError, VideoProviderError
from airflow_video_providers.ledger.records import Attempt, AttemptState, Identity, Key, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

#: More attempts than this by one task instance mean that something else is wrong.
MAX_ATTEMPTS = 1000


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
        raise LedgerError(f"The ledger of purchases could not be {doing}: {type(error).__name__}: {error}") from error


class Ledger:
    """Typed records over a :class:`Store`.

    Every method raises :class:`~airflow_video_providers.exceptions.LedgerError` where the store fails or
    holds something that is not a record.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def attempts(self, identity: Identity) -> list[Attempt]:
        """Every attempt of one buyer, oldest first."""
        found: list[Attempt] = []
        with readable("read"):
            while len(found) < MAX_ATTEMPTS:
                value = self.store.read(identity.key(len(found) + 1))
                if value is None:
                    return found
                attempt = Attempt.model_validate(value)
                if attempt.identity != identity:
                    raise LedgerError(f"The ledger's record of {identity} belongs to {attempt.identity}.")
                found.append(attempt)
        raise LedgerError(
            f"{identity} has {MAX_ATTEMPTS} attempts in the ledger: it buys no more.",
            remedy="Find out why it was refused so often, then run it in a new DAG run.",
        )

    def create(self, attempt: Attempt) -> bool:
        """Write an attempt before its paid call; False where another process was faster."""
        with readable("written"):
            return self.store.create(attempt.key, attempt.to_dict())

    def replace(self, attempt: Attempt) -> None:
        """Write how far an attempt came."""
        with readable("written"):
            self.store.replace(attempt.key, attempt.to_dict())

    def mark_landed(self, request_id: str, manifest_uri: str | None = None) -> None:
        """Write that a job's output is in storage, so that it is no longer listed as bought and not landed."""
        with readable("written"):
            self.store.replace(landed_key(request_id), {"request_id": request_id, "manifest_uri": manifest_uri})

    def mark_lost(self, request_id: str) -> None:
        """Write that a job's output is gone for good: a Clear of the task that lands it may buy again."""
        with readable("written"):
            self.store.replace(landed_key(request_id), {"request_id": request_id, "lost": True})

    def settled(self, request_id: str) -> bool:
        """Has the job landed, or was its output lost?"""
        with readable("read"):
            return self.store.read(landed_key(request_id)) is not None

    def unfinished(self) -> list[Attempt]:
        """Open attempts, and jobs that were bought and never landed, oldest first. Only on a shared store."""
        with readable("read"):
            ended = list(self.store.list(("landed",)))
            landed = {value.get("request_id") for value in ended if not value.get("lost")}
            attempts = [Attempt.model_validate(value) for value in self.store.list(("submits",))]
        waiting = (a for a in attempts if a.open or (a.state is AttemptState.SUBMITTED and a.request_id not in landed))
        return sorted(waiting, key=lambda attempt: attempt.created_at)


def landed_key(request_id: str) -> Key:
    """Where it is kept that a job landed, or never will. Request ids are opaque, so the name is a digest."""
    return ("landed", digest(request_id)[:32])
