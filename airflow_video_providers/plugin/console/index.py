"""The ledger as the pages read it: records in a small SQLite index, which can be thrown away at any time.

What is here was read from the ledger by one of :mod:`~airflow_video_providers.plugin.console.feeds`; nothing is decided
from it, and nothing but the pages reads it.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from airflow_video_providers.core.purchase.records import MOST_USD, Attempt, AttemptState, Identity
from airflow_video_providers.core.purchase.settlements import Settlement, usd_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from airflow_video_providers.core.purchase.records import Key

#: Raised with the layout: an older file is thrown away.
_VERSION = 2
_LAYOUT = """
CREATE TABLE attempts (
    source TEXT PRIMARY KEY, stamp TEXT, gate INTEGER, dag_id TEXT, run_id TEXT, task_id TEXT, map_index INTEGER,
    number INTEGER, state TEXT, word TEXT, created REAL, model TEXT, conn_id TEXT, request_id TEXT, micros INTEGER,
    reason TEXT, expires REAL, value TEXT, ended REAL, named INTEGER, real INTEGER);
CREATE INDEX attempts_buyer ON attempts (dag_id, run_id, task_id, map_index, number);
CREATE INDEX attempts_request ON attempts (request_id);
CREATE INDEX attempts_word ON attempts (word, created);
CREATE INDEX attempts_ended ON attempts (word, ended);
CREATE VIEW purchases AS SELECT * FROM attempts a WHERE gate = 0 OR NOT EXISTS (
    SELECT 1 FROM attempts b WHERE b.gate = 0 AND (b.dag_id, b.run_id, b.task_id, b.map_index, b.number)
    = (a.dag_id, a.run_id, a.task_id, a.map_index, a.number));
CREATE TABLE endings (
    source TEXT PRIMARY KEY, stamp TEXT, model TEXT, request_id TEXT, ending TEXT, at REAL, charged TEXT, value TEXT,
    micros INTEGER);
CREATE INDEX endings_request ON endings (request_id);
CREATE TABLE flaws (source TEXT PRIMARY KEY, stamp TEXT, dag_id TEXT, name TEXT, why TEXT, key TEXT);
CREATE TABLE folders (path TEXT PRIMARY KEY, stamp INTEGER);
"""
_STATES = {state.value: state.value for state in AttemptState}
#: What an attempt is called, by its own state and by how its job ended. The words are those of the ledger's command.
_WORD = """CASE state
    WHEN 'intent' THEN 'unknown' WHEN 'unknown' THEN 'unknown' WHEN 'rejected' THEN 'not bought'
    WHEN 'void' THEN 'failed without charge' WHEN 'forgotten' THEN 'forgotten'
    ELSE COALESCE((SELECT CASE WHEN e.ending = 'failed' AND e.charged = 'no' THEN 'failed without charge' ELSE e.ending END
                   FROM endings e WHERE e.request_id = attempts.request_id AND e.ending != 'finished'
                   AND (e.model = attempts.model OR e.model IS NULL) ORDER BY e.model IS NULL LIMIT 1), 'bought') END"""
_ENDED = """(SELECT e.at FROM endings e WHERE e.request_id = attempts.request_id AND e.ending != 'finished'
             AND (e.model = attempts.model OR e.model IS NULL) ORDER BY e.model IS NULL LIMIT 1)"""
#: What it really cost: as its job ended, else as it was attached (``named``).
_REAL = """COALESCE((SELECT e.micros FROM endings e WHERE e.request_id = attempts.request_id AND e.micros IS NOT NULL
                     AND (e.model = attempts.model OR e.model IS NULL) ORDER BY e.ending = 'finished', e.model IS NULL LIMIT 1),
                    named)"""


class Index:
    """Records by where they were read, in a file or in memory.

    One connection for all threads, behind a lock: a query takes milliseconds.

    :param path: The file; None for memory. A file of another layout, or a damaged one, is begun anew.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.RLock()
        self._touched: set[str] = set()
        try:
            self._db = self._open(path)
        except sqlite3.DatabaseError:
            if path is None:
                raise
            path.unlink(missing_ok=True)
            self._db = self._open(path)

    @staticmethod
    def _open(path: Path | None) -> sqlite3.Connection:
        db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA synchronous=OFF")  # what a crash breaks is read again
        db.execute("PRAGMA case_sensitive_like=ON")
        with db:
            db.execute("BEGIN IMMEDIATE")
            if db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                for kind, name in db.execute(
                    "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view')"
                ).fetchall():
                    db.execute(f'DROP {kind} "{name}"')
                for statement in filter(str.strip, _LAYOUT.split(";")):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {_VERSION}")
        return db

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All or nothing; at its end attempts are called what they now are."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._touched.clear()
            try:
                yield
                self._name_again()
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _name_again(self) -> None:
        """Attempts that were taken in have no name yet; others have another since their job's ending was."""
        setting = f"UPDATE attempts SET word = {_WORD}, ended = {_ENDED}, real = {_REAL}"
        self._db.executemany(f"{setting} WHERE request_id = ?", [(one,) for one in self._touched])
        self._db.execute(f"{setting} WHERE word IS NULL")

    def stamps(self) -> dict[str, str]:
        """Where records were read, and what their versions were."""
        query = " UNION ALL ".join(f"SELECT source, stamp FROM {table}" for table in ("attempts", "endings", "flaws"))
        return {row[0]: row[1] for row in self.rows(query)}

    def count(self) -> int:
        """How many records it holds, without intents that only stand in for one."""
        query = "SELECT (SELECT COUNT(*) FROM attempts WHERE gate = 0) + (SELECT COUNT(*) FROM endings) + (SELECT COUNT(*) FROM flaws)"
        return int(self.rows(query)[0][0])

    def holds(self, buyer: tuple[object, ...]) -> bool:
        """Does it hold this attempt, by more than its intent?

        :param buyer: DAG, run, task, map index and number.
        """
        query = (
            "SELECT 1 FROM attempts WHERE gate = 0 AND (dag_id, run_id, task_id, map_index, number) = (?, ?, ?, ?, ?)"
        )
        return bool(self.rows(query, *buyer))

    def folders(self) -> dict[str, int]:
        """Folders, and the like, that have been read whole, and their times then."""
        return {row[0]: row[1] for row in self.rows("SELECT path, stamp FROM folders")}

    def know_folders(self, folders: dict[str, int], gone: Iterable[str]) -> None:
        """Remember, and forget."""
        self._db.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?)", folders.items())
        self._db.executemany("DELETE FROM folders WHERE path = ?", [(path,) for path in gone])

    def remove(self, sources: Iterable[str]) -> None:
        """These are no longer there."""
        for source in sources:
            for (request_id,) in self._db.execute("SELECT request_id FROM endings WHERE source = ?", (source,)):
                self._touched.add(request_id)
            for table in ("attempts", "endings", "flaws"):
                self._db.execute(f"DELETE FROM {table} WHERE source = ?", (source,))

    def put(
        self, source: str, stamp: str, key: Key | None, text: str | bytes, at: float, *, gate: bool = False
    ) -> None:
        """Take in one record as it is stored, whatever it is.

        :param source: Where it was read: a file, an object, a row.
        :param key: Its key, where the source says; the record itself says who bought.
        :param at: When it was written, in seconds.
        :param gate: An intent that stands in for a record which was never written.
        """
        try:
            value = from_json(text)
            if not isinstance(value, dict):
                self.put_flaw(source, stamp, key, f"holds a {type(value).__name__}, not a record")
            elif "ending" in value or "lost" in value or ("request_id" in value and "state" not in value):
                self._put_ending(source, stamp, value, at)
            elif "state" in value:
                self._put_attempt(source, stamp, value, text, gate=gate)
        except (ValueError, TypeError, RecursionError) as wrong:
            self.put_flaw(source, stamp, key, str(wrong).splitlines()[0][:200])

    def put_flaw(self, source: str, stamp: str, key: Key | None, why: str) -> None:
        """Take in that something stands where a record should be."""
        identity = Identity.of_key(key or ())
        self.remove([source])
        self._db.execute(
            "INSERT OR REPLACE INTO flaws VALUES (?, ?, ?, ?, ?, ?)",
            (source, stamp, identity.dag_id if identity else None, source, why, "\n".join(key or ())),
        )

    def _put_attempt(self, source: str, stamp: str, value: dict[str, Any], text: str | bytes, *, gate: bool) -> None:
        try:
            row = (
                source, stamp, gate, *(str(value[name]) for name in ("dag_id", "run_id", "task_id")),
                int(value.get("map_index", -1)), int(value["number"]), _STATES[value["state"]], _moment(value["created_at"]),
                str(value["model"]), value.get("conn_id"), value.get("request_id"), _micros(value.get("estimated_cost_usd")),
                value.get("reason"), _expiry(value.get("job")), text.decode() if isinstance(text, bytes) else text,
                _real(value.get("job")),
            )  # fmt: skip
        except (KeyError, ValueError, TypeError, InvalidOperation):
            Attempt.model_validate(value)  # it says better what is wrong
            raise
        self._db.execute("DELETE FROM flaws WHERE source = ?", (source,))
        self._db.execute(
            "INSERT OR REPLACE INTO attempts (source, stamp, gate, dag_id, run_id, task_id, map_index, number, state, created,"
            " model, conn_id, request_id, micros, reason, expires, value, named) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            row,
        )

    def _put_ending(self, source: str, stamp: str, value: dict[str, Any], at: float) -> None:
        ending = Settlement.read(value)
        self._touched.add(ending.request_id)
        self._db.execute("DELETE FROM flaws WHERE source = ?", (source,))
        self._db.execute(
            "INSERT OR REPLACE INTO endings VALUES (?,?,?,?,?,?,?,?,?)",
            (
                source, stamp, ending.model, ending.request_id, ending.ending.value, at, ending.charged,
                ending.manifest_uri or ending.kept_at, _micros(ending.cost),
            ),
        )  # fmt: skip


def _moment(text: object) -> float:
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError("created_at has no zone")
    return moment.timestamp()


def _expiry(job: object) -> float | None:
    text = job.get("expires_at") if isinstance(job, dict) else None
    return None if text is None else _moment(text)


def _real(job: object) -> int | None:
    return _micros(usd_in(job.get("cost_usd"))) if isinstance(job, dict) else None


def _micros(amount: object) -> int | None:
    """Millionths of a US dollar, which add up exactly."""
    if amount is None:
        return None
    usd = Decimal(str(amount))
    if not 0 <= usd <= MOST_USD:
        raise ValueError("no price")
    return int(usd.scaleb(6))
