"""Where things lie, and the record beside them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from airflow_video_providers.core.errors import InvalidRequestError, LandingError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.landing import manifest as manifests
from airflow_video_providers.core.landing.keys import Keys, check_key_template, safe_part
from airflow_video_providers.core.landing.media_info import MediaInfo

JOB = VideoJob(
    model="pixazo:mochi-v1",
    request_id="req-1",
    conn_id="pixazo_default",
    status=JobStatus.SUCCEEDED,
    submitted_at=datetime(2026, 5, 1, 23, 30, tzinfo=UTC),
    request_sha256="ab" * 32,
    estimated_cost_usd=Decimal("0.30"),
    cost_usd=Decimal("0.28"),
    outputs=(VideoOutput(url="https://cdn.example.com/a/b.mp4?sig=secret"),),
)


def test_the_layout_is_hive_style_and_a_function_of_the_job_alone() -> None:
    keys = Keys(JOB)
    assert keys.output(0, "mp4") == "provider=pixazo/model=mochi-v1/dt=2026-05-01/req-1/0.mp4"
    assert keys.manifest == "provider=pixazo/model=mochi-v1/dt=2026-05-01/req-1/manifest.json"


def test_the_day_is_the_day_in_utc_or_unknown() -> None:
    late = JOB.replace(submitted_at=datetime(2026, 5, 2, 1, 0, tzinfo=timezone(timedelta(hours=5))))
    assert "/dt=2026-05-01/" in Keys(late).manifest
    assert "/dt=unknown/" in Keys(JOB.replace(submitted_at=None)).manifest


@pytest.mark.parametrize("odd", ["a/b", "../../etc", "..", ".hidden", "a b", "ü", "", "x" * 300, "a\0b"])
def test_a_part_is_safe_and_differs_where_the_id_differs(odd: str) -> None:
    safe = safe_part(odd)
    assert safe
    assert "/" not in safe
    assert not safe.startswith(".")
    assert len(safe) < 120
    assert safe != safe_part(odd + "x")


def test_two_ids_that_look_alike_once_cleaned_do_not_meet() -> None:
    assert len({safe_part("a/b"), safe_part("a b"), safe_part("a-b"), safe_part("a?b")}) == 4


@pytest.mark.parametrize(
    "odd", ["job/1", "a b", ".", "..", "", "-", "/x", ".x", "é", "x" * 300, "dt=1999-01-01", "\ud800"]
)
def test_an_id_that_looks_like_a_cleaned_one_does_not_meet_it(odd: str) -> None:
    cleaned = safe_part(odd)
    others = [cleaned, safe_part(cleaned), cleaned.rpartition("-")[2], f"-{cleaned}", f".{cleaned}"]
    keys = {safe_part(other) for other in (odd, *others)}
    assert len(keys) == len({odd, *others}), keys


@pytest.mark.parametrize("odd", ["dt=1999-01-01", "provider=other", "="])
def test_an_id_makes_no_partition_of_its_own(odd: str) -> None:
    key = Keys(JOB.replace(request_id=odd)).output(0, "mp4")
    assert [part.partition("=")[0] for part in key.split("/") if "=" in part] == ["provider", "model", "dt"]


def test_what_needs_no_change_keeps_its_key() -> None:
    plain = ["req-1", "pixverse-v6-text-to-video_01a217da-6487-7f69-a053-f5014a487268", "v5.6_x", "0"]
    assert [safe_part(text) for text in plain] == plain


def test_another_layout_gets_a_manifest_per_job() -> None:
    keys = Keys(JOB, "clips/{date}/{request_id}-{index}")
    assert keys.output(1, "webm") == "clips/2026-05-01/req-1-1.webm"
    assert keys.manifest == "clips/2026-05-01/req-1-manifest.json"


@pytest.mark.parametrize(
    "template",
    [
        "{request_id}", "{index}", "{request_id}/{index}/{run_id}", "{request_id}/{index!r}", "{request_id:>9}/{index}",
        "/{request_id}/{index}", "{request_id}//{index}", "../{request_id}/{index}", "{request_id.__class__}/{index}",
        "{request_id}/{index", "a b/{request_id}/{index}", "{request_id}/{index}/", "{}/{request_id}/{index}",
    ],
)  # fmt: skip
def test_a_layout_that_cannot_work_is_refused_while_the_dag_is_parsed(template: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        check_key_template(template)
    assert (raised.value.charged, raised.value.field) == ("no", "key_template")


def record(**changes: Any) -> dict[str, Any]:
    media = MediaInfo("video/mp4", "mp4", 5.0, 848, 480, 24.0, ("avc1.64001f",))
    entry = manifests.output_entry(0, Keys(JOB).output(0, "mp4"), 10, "ab" * 32, media)
    entry["source"] = manifests.source_entry(JOB.outputs[0].url)
    options: dict[str, Any] = {
        "verify": "container",
        "landed_at": datetime(2026, 5, 1, tzinfo=UTC),
        "seconds": {"total": 1.23456},
        "task": {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "logical_date": None},
        "extra": {"seed": 42, "reference": "https://x.example/y.png?token=secret and more"},
        **changes,
    }
    return manifests.with_addresses(manifests.build(JOB, [entry], **options), "s3://bucket")


def test_the_manifest_fits_its_schema_and_is_plain_json() -> None:
    found = record()
    schema = manifests.manifest_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    checker.validate(found)
    checker.validate(manifests.with_addresses(found, "s3://bucket", "s3://aws_default@bucket") | {"skipped": False})
    assert json.loads(manifests.encode(found)) == found
    assert found["task"] == {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}
    assert found["estimated_cost_usd"] == "0.30"
    assert found["cost_usd"] == "0.28"
    assert found["seconds"] == {"total": 1.235}
    with pytest.raises(jsonschema.ValidationError):
        checker.validate({**found, "outputs": []})


def test_no_signature_reaches_the_manifest() -> None:
    text = json.dumps(record())
    assert "secret" not in text
    assert "https://x.example/y.png and more" in text
    assert record()["outputs"][0]["source"] == {"host": "cdn.example.com"}
    assert manifests.source_entry(JOB.outputs[0].url, path=True) == {"host": "cdn.example.com", "path": "/a/b.mp4"}
    assert manifests.source_entry("https://[broken") == {"host": ""}


def test_what_is_not_json_becomes_text_and_never_an_error() -> None:
    odd = {"when": datetime(2026, 1, 1, tzinfo=UTC), "cost": Decimal("1.5"), "many": ("a", {"b": {1}}), 3: None}
    assert record(extra=odd)["extra"] == {
        "when": "2026-01-01T00:00:00+00:00", "cost": "1.5", "many": ["a", {"b": [1]}], "3": None,
    }  # fmt: skip


def test_a_stored_manifest_is_read_back_or_judged() -> None:
    found = record()
    assert manifests.decode(manifests.encode(found), Keys(JOB), "x") == found


def planted() -> dict[str, bytes]:
    """Records that somebody else has put under the manifest's name."""
    found = record()
    output = found["outputs"][0]

    def changed(**changes: Any) -> bytes:
        return json.dumps({**found, **changes}).encode()

    def with_output(**changes: Any) -> bytes:
        return changed(outputs=[{**output, **changes}])

    other_key = "provider=pixazo/model=mochi-v1/dt=2026-05-01/req-2/0.mp4"
    poster = {"key": "../poster.jpg", "uri": "s3://b/x", "bytes": 1, "sha256": "ab" * 32, "content_type": "image/jpeg"}
    return {
        "no JSON": b"not json", "a list": b"[1]", "nothing": b"", "a number": b"1", "null": b"null",
        "a version alone": b'{"schema_version": 1}', "cut": manifests.encode(found)[:-20], "not UTF-8": b"\xff\xfe{",
        "a version that is text": changed(schema_version="1"), "true": changed(schema_version=True),
        "a huge version": b'{"schema_version": ' + b"9" * 5000 + b"}",
        "deep": b"[" * 100_000, "deep inside": changed(extra={"x": None}).replace(b'"x": null', b'"x": ' + b"[" * 400 + b"]" * 400),
        "a key that climbs": with_output(key="../secret.txt"), "an absolute key": with_output(key="/etc/passwd"),
        "another job's key": with_output(key=other_key), "a key of another type": with_output(key=None),
        "another extension": with_output(key=output["key"].replace(".mp4", ".json")),
        "another index": with_output(index=1), "a poster elsewhere": with_output(poster=poster), "a poster of text": with_output(poster="x"),
        "infinite": changed(seconds={"total": float("inf")}), "too large": changed(seconds={}).replace(b'"seconds": {}', b'"seconds": {"a": 1e999}'),
        "not a number": with_output(duration_s=float("nan")), "a negative size": with_output(bytes=-1), "a size of text": with_output(bytes="10"),
        "no digest": with_output(sha256="zz"), "NUL": changed(cost_basis="a\0b"), "escape": changed(cost_basis="\x1b[31m"),
        "half a character": changed(cost_basis="\ud800"), "NUL in a name": changed(extra={"a\0": 1}),
        "a signed address": changed(cost_basis="https://x.example/a?sig=secret"), "another field": changed(and_more=1),
        "no outputs": changed(outputs=[]), "outputs by name": changed(outputs={"0": output}), "large": changed(extra={"x": "x" * 2_000_000}),
        "no model": changed(model=None), "an id of another type": changed(request_id=["req-1"]),
    }  # fmt: skip


@pytest.mark.parametrize("name", planted())
def test_a_record_that_this_package_would_not_write_counts_as_damaged(name: str) -> None:
    assert manifests.decode(planted()[name], Keys(JOB), "x") is None


def test_what_is_written_is_printable_and_finite_so_that_it_is_believed_again() -> None:
    odd = {
        "esc": "\x1b[31mred",
        "half": "\ud800",
        "nul\0": 1,
        "inf": float("inf"),
        "nan": float("nan"),
        "lines": "a\nb\tc",
    }
    written = manifests.encode(record(extra=odd))
    again = manifests.decode(written, Keys(JOB), "x")
    assert again is not None
    assert again["extra"]["lines"] == "a\nb\tc"
    assert again["extra"]["inf"] is None


@pytest.mark.parametrize(
    ("changes", "what", "remedy"),
    [({"request_id": "req-2"}, "another job", "key_template"), ({"schema_version": 99}, "newer release", "Update")],
)
def test_a_manifest_that_a_retry_cannot_cure_is_not_retried_and_says_what_to_do(
    changes: dict[str, Any], what: str, remedy: str
) -> None:
    with pytest.raises(LandingError, match=what) as raised:
        manifests.decode(manifests.encode({**record(), **changes}), Keys(JOB), "x")
    assert (raised.value.reason, raised.value.retryable) == ("conflict", False)
    assert remedy in raised.value.remedy
    assert "not bought again" in raised.value.remedy
