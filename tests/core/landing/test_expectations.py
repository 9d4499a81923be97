"""Asked for, and got."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from airflow_video_providers.core.errors import InvalidRequestError, OutputRejectedError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.landing.expectations import differences
from airflow_video_providers.landing import Landing, manifest_schema
from tests.faults.landing.clips import mp4

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.landing.server import Exchange, FaultServer

FILE = {
    "index": 0, "duration_s": 5.04, "width": 1280, "height": 720, "codecs": ["avc1", "mp4a"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ({"duration_s": 5.0}, {}),
        ({"duration_s": 10.0}, {"duration_s": 9.6}),
        ({"duration_s": 5.0}, {"duration_s": None}),
        ({"resolution": "720p", "aspect_ratio": "16:9", "audio": True}, {}),
        ({"resolution": "720p", "aspect_ratio": "1:1"}, {"width": 960, "height": 960}),  # the area of 1280x720
        ({"resolution": "720p", "aspect_ratio": "9:16"}, {"width": 720, "height": 1280}),
        ({"resolution": "720p", "aspect_ratio": "1:1", "audio": True}, {"width": None, "height": None, "codecs": []}),
        ({"audio": True}, {"codecs": ["V_VP9", "A_OPUS"]}),
        ({"audio": False}, {"codecs": ["V_VP9"]}),
        ({"resolution": "large", "aspect_ratio": "auto", "duration_s": True, "audio": "yes", "mood": "calm"}, {}),
        ({"aspect_ratio": "0:1", "resolution": "0p"}, {}),
    ],
)
def test_what_vendors_round_and_what_a_container_does_not_say_is_no_difference(
    expected: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert differences(expected, FILE | changes) == []


@pytest.mark.parametrize(
    ("expected", "changes", "found"),
    [
        ({"duration_s": 8.0}, {}, 5.04),
        ({"duration_s": 5.0}, {"duration_s": 4.4}, 4.4),
        ({"resolution": "1080p"}, {}, "1280x720"),
        ({"resolution": "540p"}, {}, "1280x720"),
        ({"aspect_ratio": "9:16"}, {}, "1280x720"),
        ({"aspect_ratio": "4:3"}, {}, "1280x720"),
        ({"audio": True}, {"codecs": ["avc1"]}, False),
        ({"audio": False}, {}, True),
    ],
)
def test_a_difference_names_what_was_asked_for_and_what_came(
    expected: dict[str, Any], changes: dict[str, Any], found: object
) -> None:
    ((what, wanted),) = expected.items()
    assert differences(expected, FILE | changes) == [{"index": 0, "what": what, "expected": wanted, "found": found}]


def job_for(url: str, **expected: Any) -> VideoJob:
    return VideoJob(
        model="pixazo:mochi-v1", request_id="req-1", status=JobStatus.SUCCEEDED, outputs=(VideoOutput(url=url),),
        parameters={"seed": 7, "prompt_sha256": "ab" * 32}, vendor_defaults=("seed",), expected=expected or None,
    )  # fmt: skip


def landing(folder: Path, **options: Any) -> Landing:
    return Landing(output_path=str(folder), allow_private_hosts=["127.0.0.1"], **options)


def clip(exchange: Exchange) -> None:
    exchange.whole(mp4())


def test_parameters_and_differences_stand_in_a_manifest_that_fits_its_schema_and_in_the_log(
    tmp_path: Path, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        manifest = landing(tmp_path).run(job_for(server.serve("a", clip), duration_s=60.0, audio=True))
    jsonschema.Draft202012Validator(manifest_schema()).validate(manifest)
    assert manifest["parameters"] == {"seed": 7, "prompt_sha256": "ab" * 32}
    assert manifest["vendor_defaults"] == ["seed"]
    assert manifest["expected"] == {"duration_s": 60.0, "audio": True}
    assert {one["what"] for one in manifest["differences"]} == {"duration_s", "audio"}
    assert "duration_s is" in caplog.text
    assert "asked for was 60.0" in caplog.text


def test_where_nothing_differs_nothing_is_said(
    tmp_path: Path, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        manifest = landing(tmp_path, expect="strict").run(job_for(server.serve("a", clip), audio=False))
    assert "differences" not in manifest
    assert caplog.text == ""


def test_strict_refuses_before_the_final_name_keeps_the_file_and_report_lands_it_from_there(
    tmp_path: Path, server: FaultServer
) -> None:
    job = job_for(server.serve("a", clip), duration_s=60.0)
    with pytest.raises(OutputRejectedError) as caught:
        landing(tmp_path, expect="strict").run(job)
    assert caught.value.reason == "expectation"
    assert "expect='report'" in str(caught.value)
    assert {path.name for path in tmp_path.rglob("*.mp4")} == set()
    assert [path.parent.name for path in tmp_path.rglob("*.rejected")] == ["req-1"]
    asked = len(server.asked("a"))
    assert landing(tmp_path).run(job)["differences"]
    assert len(server.asked("a")) == asked  # nobody was asked again
    with pytest.raises(OutputRejectedError):  # what is landed stays landed, and strict is told about it
        landing(tmp_path, expect="strict").run(job)
    assert len(list(tmp_path.rglob("*.mp4"))) == 1


def test_a_manifest_of_an_older_release_is_read_and_nothing_is_fetched(tmp_path: Path, server: FaultServer) -> None:
    job = job_for(server.serve("a", clip))
    landing(tmp_path).run(job)
    (path,) = tmp_path.rglob("manifest.json")
    older = json.loads(path.read_text())
    for name in ("parameters", "vendor_defaults"):
        del older[name]
    path.write_text(json.dumps(older))
    assert landing(tmp_path).run(job)["skipped"] is True


def test_an_expectation_that_is_no_word_of_the_two_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="expect is 'exact'"):
        Landing(output_path="", expect="exact")  # type: ignore[arg-type]
