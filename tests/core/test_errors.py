from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowSensorTimeout

import airflow_video_providers
from airflow_video_providers.core import error_base, errors
from airflow_video_providers.core.errors import (
    DownloadError,
    InvalidRequestError,
    JobError,
    JobTimeoutError,
    RateLimitedError,
    VideoProviderError,
    describe,
    rebuild,
)
from airflow_video_providers.core.jobs import VideoJob

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VideoProviderError)]
JOB = VideoJob(model="pixazo:mochi-v1", request_id="r-7", charged="yes")


def drawn_tree() -> dict[str, str | None]:
    """Class -> parent, as the docstring draws it."""
    found: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        names = re.findall(r"\b[A-Z]\w+Error\b", line)
        if not names or not line.startswith("    "):
            continue
        head = re.split(r"\s{2,}(?=[a-z.4-9])", line.strip())[0]
        depth = (len(line) - len(line.lstrip("│├└─ "))) // 4 - 1
        name = re.findall(r"\w+Error\b", head)[0]
        del path[depth:]
        found[name] = path[-1] if path else None
        path.append(name)
    return found


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    own = {kind.__name__ for kind in ALL}
    real = {
        kind.__name__: next((base.__name__ for base in kind.__bases__ if base.__name__ in own), None) for kind in ALL
    }
    assert drawn_tree() == real


def test_airflow_catches_all_of_them_and_a_timeout_counts_as_its_own():
    assert all(issubclass(kind, AirflowException) for kind in ALL)
    assert issubclass(JobTimeoutError, AirflowSensorTimeout)
    assert issubclass(InvalidRequestError, ValueError)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_says_what_happened_what_it_costs_and_what_to_do(kind):
    text = str(kind("It broke.", model="pixazo:mochi-v1", request_id="r-7"))
    assert text.startswith("It broke. ")
    assert any(sentence in text for sentence in error_base._MONEY.values())
    assert kind is VideoProviderError or kind in (JobError, errors.VendorError) or kind.default_remedy in text
    assert text.endswith("[vendor=pixazo, model=pixazo:mochi-v1, request_id=r-7]")


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_comes_out_of_a_trigger_as_it_went_in(kind):
    given = kind("It broke.", model="pixazo:mochi-v1", request_id="r-7", charged="no", http_status=503, retry_after=7.0)
    back = rebuild(json.loads(json.dumps(describe(given))), JOB)
    assert type(back) is kind
    assert str(back) == str(given)
    assert (back.charged, back.http_status, back.retry_after) == ("no", 503, 7.0)
    assert getattr(back, "job", JOB) is JOB


def test_an_error_without_a_model_takes_it_from_the_job_on_the_other_side():
    back = rebuild({"type": "JobFailedError", "what": "It broke."}, JOB)
    assert (back.model, back.request_id, back.charged) == ("pixazo:mochi-v1", "r-7", "yes")


@pytest.mark.parametrize("kind", ["NoSuchError", "AirflowException", "Any", "describe", None, 7])
def test_an_error_of_another_version_comes_back_as_the_base_class(kind):
    back = rebuild({"type": kind, "what": "It broke."})
    assert type(back) is VideoProviderError
    assert "It broke." in str(back)


def test_an_event_without_a_reason_says_so():
    assert "without a reason" in str(rebuild({}))


def test_the_facts_of_the_job_are_the_facts_of_the_error():
    error = JobError("It broke.", job=JOB)
    assert (error.model, error.request_id, error.charged) == ("pixazo:mochi-v1", "r-7", "yes")
    assert "The vendor has charged for this." in str(error)


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])  # noqa: S301 # our own bytes
def test_an_error_survives_a_copy(again):
    error = RateLimitedError("Slow down.", model="segmind:mochi-1", retry_after=3.0)
    assert str(again(error)) == str(error)
    assert again(error).retry_after == 3.0


def test_only_what_passes_by_itself_is_retried():
    retried = {kind.__name__ for kind in ALL if kind.retryable}
    assert retried == {"LedgerError", "RateLimitedError", "VendorUnavailableError", "DownloadError", "LandingError"}


def test_what_was_refused_before_sending_costs_nothing_and_what_was_made_is_paid():
    assert InvalidRequestError("x").charged == "no"
    assert errors.SubmissionOutcomeUnknownError("x").charged == "unknown"
    assert DownloadError("x").charged == "yes"


def test_no_error_is_changed_after_it_was_made():
    package = Path(airflow_video_providers.__file__).parent
    fields = {*vars(VideoProviderError("x")), "retryable", "kept_at", "reason", "args"}
    changed = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for named in ast.walk(target)
        if isinstance(named, ast.Attribute)
        and isinstance(named.ctx, ast.Store)
        and named.attr in fields
        and ast.unparse(named.value) not in ("self", "facet", "fault")  # none of them is an error
    ]
    assert changed == []


def test_a_copy_with_its_job_keeps_the_cause_and_leaves_the_error_alone():
    cause = KeyError("x")
    error = InvalidRequestError("wrong", field="model")
    error.__cause__ = cause
    job = VideoJob(model="pixazo:mochi-v1", request_id="r-1", charged="yes")
    copied = error.with_job(job)
    assert (error.request_id, error.charged) == (None, "no")
    assert (copied.request_id, copied.charged, copied.field) == ("r-1", "yes", "model")
    assert copied.__cause__ is cause
    assert error.while_paid(job).retryable
    assert not copied.retryable
