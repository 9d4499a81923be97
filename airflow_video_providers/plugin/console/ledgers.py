"""Which ledger this server reads, opened once."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.integration.ledger_config import ledger_path, open_directory
from airflow_video_providers.integration.state_store_admin import MetadataStore
from airflow_video_providers.plugin.console.feeds import BucketFeed, DirectoryFeed
from airflow_video_providers.plugin.console.index import Index
from airflow_video_providers.plugin.console.reading import Reading
from airflow_video_providers.plugin.console.state_store_feed import StateStoreFeed
from airflow_video_providers.plugin.console.xcoms import states_of_runs

if TYPE_CHECKING:
    from airflow_video_providers.plugin.console.feeds import Feed

_NONE = (
    "There is no ledger that this server could read: set ledger_path in [video_providers], or run Airflow 3.3 or newer, "
    "whose state store serves."
)


class Ledgers:
    """The configured ledger and its reading, kept for as long as the configuration stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[str | None, Any, Reading] | None = None

    def open(self) -> tuple[Ledger, Reading]:
        """The ledger, and its reading kept up to date.

        :raises LedgerError: there is none, or this server cannot reach it.
        """
        path = ledger_path()
        with self._lock:
            if self._kept is None or self._kept[0] != path:
                store, feed = _of(path)
                file = index_file(path or _database())
                self._kept = (path, store, Reading(feed, Index(file), run_states=states_of_runs))
            _, store, reading = self._kept
        reading.refresh()
        return Ledger(store), reading


def _of(path: str | None) -> tuple[Any, Feed]:
    if path is None:
        try:
            return MetadataStore(), StateStoreFeed()
        except ImportError as missing:
            raise LedgerError(_NONE, money="Nothing is lost by that.") from missing
    store = open_directory(path)
    return store, DirectoryFeed(store) if isinstance(store, LocalDirectory) else BucketFeed(store)  # type: ignore[arg-type]


def _database() -> str:
    """Which metadata database this server reads, without its password."""
    from airflow import settings

    return str(settings.engine.url.render_as_string(hide_password=True)) if settings.engine is not None else ""


def index_file(ledger: str) -> Path | None:
    """Where the index of a ledger is kept between two starts of a server: a private folder of this user's.

    None where there is no such place; then the index stays in memory.
    """
    with suppress(OSError):
        folder = Path(tempfile.gettempdir()) / f"airflow-video-index-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if folder.is_dir() and not folder.is_symlink() and status.st_uid == os.getuid() and not status.st_mode & 0o077:
            return folder / f"{hashlib.sha256(ledger.encode()).hexdigest()[:24]}.sqlite"
    return None
