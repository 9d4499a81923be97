"""An audit of what landed on each storage, through its connection; one changed byte fails it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_video_providers.core.accounting.audit import check_storage, make_audit, problems_in
from airflow_video_providers.core.accounting.entries import Entry, Period
from airflow_video_providers.core.accounting.landed_files import Storages
from airflow_video_providers.core.landing.manifest import stored_sha256
from airflow_video_providers.core.purchase.settlements import Ending, Settlement
from airflow_video_providers.landing import land
from tests.faults.landing.clips import mp4
from tests.storage.test_landing import job_for, whole
from tests.support.accounts import bought

if TYPE_CHECKING:
    from tests.faults.landing.server import FaultServer
    from tests.storage.emulators import Backend

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),  # how gcsfs speaks to aiohttp
]


def audited(entry: Entry, where: str) -> dict[str, Any]:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    return make_audit([entry], [], within=Period(), ledger="ledger_path", now=now, storages=Storages([where]))


def test_what_landed_there_is_audited_and_one_changed_byte_fails(
    backend: Backend, prefix: str, server: FaultServer
) -> None:
    where = f"{backend.root}/{prefix}"
    returned = land(job_for(server.serve(prefix, whole(mp4()))), where, allow_private_hosts=["127.0.0.1"])
    ending = Settlement(
        "req-1", Ending.LANDED, "pixazo:mochi-v1", returned["manifest_uri"], manifest_sha256=stored_sha256(returned)
    )
    entry = Entry(bought(0, "req-1"), "landed", "charged", "yes", ending)
    audit = audited(entry, where)
    assert problems_in(audit) == []
    assert check_storage(audit, Storages([where])) == ([], 1, 1)

    for name in (returned["outputs"][0]["path"], f"{where}/{returned['manifest_uri'].rsplit(prefix + '/', 1)[1]}"):
        place = ObjectStoragePath(name)
        before = place.read_bytes()
        place.write_bytes(before[:-9] + bytes([before[-9] ^ 1]) + before[-8:])
        (problem,), _, _ = check_storage(audit, Storages([where]))
        assert "films.submit[0] in r, attempt 1: " in problem
        assert problems_in(audited(entry, where)), "and an audit that is made now says so, too"
        place.write_bytes(before)
    assert check_storage(audit, Storages([where]))[0] == []
