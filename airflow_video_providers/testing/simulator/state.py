"""What a simulator knows, in a file: a vendor that dies and comes back has not forgotten what it sold.

Kept: jobs with what was polled and issued, wallets, the requests, violations, and the clock, which ran on meanwhile.
Forgotten with the process: settings that were changed while it ran, faults that were asked for and have not struck,
callbacks on their way, uploads, and who asked how often.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .bounded import HISTORY
from .clip import ClipSpec
from .faults import Fault
from .jobs import Job

if TYPE_CHECKING:
    from pathlib import Path

    from .world import World

_TABLES = """
CREATE TABLE IF NOT EXISTS job (number INTEGER PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS request (number INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS world (name TEXT PRIMARY KEY, content TEXT NOT NULL);
"""


class StateFile:
    """A simulator's memory on disk. What was answered is in it: a ``kill -9`` loses nothing that a client has seen.

    :param path: Made if it is not there. One simulator at a time.
    :raises ValueError: it is not such a file, or another simulator has it open.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._database = sqlite3.connect(path, isolation_level=None, timeout=1, check_same_thread=False)
            # the process may die at any moment, the machine need not: nothing waits for the disk
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.executescript(_TABLES)
            self._database.execute("INSERT OR REPLACE INTO world VALUES ('format', '1')")
        except sqlite3.Error as error:
            raise ValueError(f"The state of a simulator cannot be kept in {path}: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def empty(self) -> None:
        """Forget everything."""
        for table in ("job", "request", "world"):
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608  three names of ours

    def save(self, world: World, entry: dict[str, Any] | None = None, size: int = 0) -> None:
        """Write what one request has changed.

        :param entry: The request, as it is remembered.
        :param size: About how many bytes it holds.
        """
        write = self._database.execute
        write("BEGIN")
        for number, job in world.store.take_changed():
            write(
                "INSERT OR REPLACE INTO job VALUES (?, ?)", (number, json.dumps(dataclasses.asdict(job), default=str))
            )
        if entry is not None:
            last = write("INSERT INTO request (size, content) VALUES (?, ?)", (size, json.dumps(entry))).lastrowid or 0
            write("DELETE FROM request WHERE number <= ?", (last - HISTORY,))
        for name, value in _rest(world).items():
            write("INSERT OR REPLACE INTO world VALUES (?, ?)", (name, json.dumps(value)))
        write("COMMIT")

    def load(self, world: World) -> None:
        """Give an empty world what is in the file.

        :raises ValueError: the file holds something else.
        """
        try:
            rows = dict(self._database.execute("SELECT name, content FROM world"))
            known = {name: json.loads(content) for name, content in rows.items()}
            if "now" not in known:
                return
            world.clock.resume(known["now"], known["ahead"])
            for (content,) in self._database.execute("SELECT content FROM job ORDER BY number"):
                world.store.add(_job(json.loads(content)))
            world.store.resume(known["now"], {vendor: Decimal(left) for vendor, left in known["wallets"].items()})
            world.store.take_changed()
            world.store.submits = known["submits"]
            world.violations.extend(known["violations"])
            for size, content in self._database.execute("SELECT size, content FROM request ORDER BY number"):
                world.requests.append(json.loads(content), size)
        except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"The state of this simulator cannot be read: {type(error).__name__}: {error}") from error


def _rest(world: World) -> dict[str, Any]:
    now = world.clock.now()
    world.store.settle(now)
    return {
        "now": now,
        "ahead": now - time.time(),
        "wallets": {vendor: str(left) for vendor, left in world.store.wallets.items()},
        "submits": world.store.submits,
        "violations": list(world.violations),
    }


def _job(content: dict[str, Any]) -> Job:
    content |= {
        "price": Decimal(content["price"]),
        "clip": ClipSpec(**content["clip"]),
        "charged_if": tuple(content["charged_if"]),
        "faults": [Fault(**fault) for fault in content["faults"]],
        "media_revoked": {int(issue): code for issue, code in content["media_revoked"].items()},
    }
    return Job(**content)
