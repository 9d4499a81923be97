"""Whatever goes wrong on the way: the right bytes, or the right error and nothing under the final name."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import httpcore
import pytest

from airflow_video_providers.core.errors import DownloadError, OutputRejectedError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.landing import address
from airflow_video_providers.landing import land
from tests.faults.landing.cases import FAULTS, HASTE, Fault, serve, vendor_of

if TYPE_CHECKING:
    from tests.faults.landing.server import FaultServer
    from tests.storage.emulators import Backend

pytestmark = pytest.mark.slow


def job_for(url: str) -> VideoJob:
    return VideoJob(
        model="pixazo:mochi-v1", request_id="req-1", status=JobStatus.SUCCEEDED, charged="yes",
        outputs=(VideoOutput(url=url),),
    )  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_ends_in_the_right_bytes_or_in_the_right_error(
    fault: Fault, backend: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in HASTE:
        monkeypatch.setattr(module, name, value)
    url, fresh = serve(server, fault, prefix)
    options: dict[str, Any] = {"allow_private_hosts": ["127.0.0.1"], "refresh": vendor_of(fault, fresh)}
    where = f"{backend.root}/{prefix}"
    if fault.lands is None:
        with pytest.raises(DownloadError) as raised:
            land(job_for(url), where, **options)
        assert type(raised.value) is fault.error
        assert raised.value.reason == fault.reason
        assert "charged" in str(raised.value)
        assert "secret-signature" not in str(raised.value)
        kept = isinstance(raised.value, OutputRejectedError) and raised.value.keep
        assert any("_rejected/req-1/" in key for key in backend.objects(prefix)) == kept
        assert all("_rejected/req-1/" in key for key in backend.objects(prefix))
    else:
        manifest = land(job_for(url), where, **options)
        stored = backend.objects(prefix)
        (output,) = manifest["outputs"]
        assert stored[output["key"]] == fault.lands
        assert output["sha256"] == hashlib.sha256(fault.lands).hexdigest()
        record = next(json.loads(data) for key, data in stored.items() if key.endswith("manifest.json"))
        assert record["outputs"][0]["sha256"] == output["sha256"]
        assert len(stored) == 2
        assert "secret-signature" not in json.dumps([record, manifest])
    assert len(server.asked(prefix)) <= fault.requests


def test_a_name_that_is_bound_to_an_inside_address_after_the_check_gains_nothing(
    backend: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    dialled: list[str] = []

    def nobody(self: object, host: str, *args: object) -> None:
        dialled.append(host)
        raise httpcore.ConnectError("nobody there")

    job = job_for(f"https://rebind.example:{server.port}/clip.mp4")
    with monkeypatch.context() as patched:
        patched.setattr(address, "resolve", lambda host, port: next(answers))
        patched.setattr(httpcore.SyncBackend, "connect_tcp", nobody)
        with pytest.raises(OutputRejectedError) as raised:
            land(job, f"{backend.root}/{prefix}")
    assert raised.value.reason == "forbidden_address"
    assert dialled == ["93.184.215.14"]  # the address that was checked, and never the one that came later
    assert backend.objects(prefix) == {}
