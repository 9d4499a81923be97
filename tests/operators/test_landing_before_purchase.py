"""Where a video is going to land is asked before it is bought, and never stands between a task and what it bought."""

from __future__ import annotations

import pathlib

import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_video_providers.core.errors import InvalidRequestError, LandingError
from airflow_video_providers.core.landing import preflight as preflights
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from tests.support.submitting import V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

BUYERS = pytest.mark.parametrize("kind", [SubmitVideoOperator, GenerateVideoOperator])
NO_PLACE = {
    "relative": "videos",
    "a path that was made one": pathlib.Path("s3://bucket/videos"),
    "a home": "~/v",
    "nothing": "",
    "blank": "  ",
    "no bucket": "s3:///v",
    "no colon": "s3//bucket/v",
    "one slash": "s3:/bucket/v",
    "a query": "gs://b/a?b",
    "a fragment": "file:///videos/day#1",
    "a parent": "s3://bucket/../other",
    "an unknown scheme": "s4://bucket/v",
    "an http address": "https://host.example/v",
    "what is read only": "github://org:repo@main/v",
    "a wrapper": "simplecache::s3://bucket/v",
    "another machine's disk": "file://host/v",
    "no address": "s3://[half/v",
    "a line break": "s3://bucket/a\nb",
    "a NUL": "/videos/\x00",
    "half a character": "/videos/\ud800",
    "Azure's own way": "abfss://container@account.dfs.core.windows.net/v",
    "bytes": b"/videos",
    "a number": 7,
    "a list": ["/videos"],
}


@pytest.fixture
def desk(video_simulator):
    return Desk(video_simulator)


def task(kind, output_path, **arguments):
    if kind is DownloadVideoOperator:
        arguments = {"job": {"model": V6, "request_id": "r-1", "status": "succeeded"}}
    else:
        arguments = {"model": V6, "request": {"prompt": "a fox"}, **arguments}
    with DAG("dag", schedule=None):
        return kind(**{"task_id": "task", "output_path": output_path, **arguments})


@pytest.mark.parametrize("kind", [SubmitVideoOperator, GenerateVideoOperator, DownloadVideoOperator])
@pytest.mark.parametrize("path", NO_PLACE.values(), ids=NO_PLACE)
def test_a_literal_that_names_no_place_fails_when_the_dag_is_parsed(kind, path):
    with pytest.raises(InvalidRequestError, match="output_path") as caught:
        task(kind, path)
    assert caught.value.field == "output_path"
    assert "Nothing was charged." in str(caught.value)


@pytest.mark.parametrize("nothing", [None, "{{ none }}"])
def test_only_a_submit_may_go_without_one(desk, nothing):
    for kind in (GenerateVideoOperator, DownloadVideoOperator):
        with pytest.raises(InvalidRequestError, match="output_path"):
            task(kind, None)
    assert desk.run(task(SubmitVideoOperator, nothing)).state == "success"


@BUYERS
@pytest.mark.parametrize("path", [path for path in NO_PLACE.values() if isinstance(path, str) and path.isascii()])
def test_a_template_that_names_no_place_buys_nothing(desk, kind, path):
    if kind is SubmitVideoOperator and not path.strip():
        pytest.skip("a submit may go without")
    desk.airflow.xcoms["where", "return_value", -1] = path
    made = task(kind, "{{ ti.xcom_pull('where', map_indexes=-1) }}")
    outcome = desk.run(made, retries=3)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")
    assert "output_path" in str(outcome.error)
    assert (desk.bodies(), desk.airflow.store) == ([], {})


SECRETS = {
    "s3": "s3://AKIAKEY:s3cr3t@bucket/x",
    "a secret with a slash": "s3://AKIAKEY:s3/cr3t@bucket/x",
    "a secret with an at": "sftp://me:s3@cr3t@host/x",
    "no colon behind the scheme": "s3//AKIAKEY:s3cr3t@bucket/x",
    "escaped": "s3://AKIAKEY%3As3cr3t@bucket/x",
    "a signature": "abfs://container/x?sig=s3cr3t",
    "unreadable": "s3://AKIAKEY:s3cr3t@[bucket/x",
}


@pytest.mark.parametrize("path", SECRETS.values(), ids=SECRETS)
@BUYERS
def test_a_secret_in_it_stands_in_no_error(desk, kind, path):
    with pytest.raises(InvalidRequestError) as caught:
        task(kind, path)
    desk.airflow.xcoms["where", "return_value", -1] = path
    outcome = desk.run(task(kind, "{{ ti.xcom_pull('where', map_indexes=-1) }}"))
    assert outcome.state == "failed"
    for error in (caught.value, outcome.error):
        for text in (str(error), repr(error), repr(vars(error))):
            assert "cr3t" not in text
    assert desk.bodies() == []


# Asked in the worker.


@BUYERS
def test_a_connection_that_airflow_says_is_missing_buys_nothing_and_is_asked_for_again(desk, kind):
    outcome = desk.run(task(kind, "s3://lab@bucket/x"), retries=1)
    assert outcome.state == "up_for_retry"
    assert outcome.error.charged == "no"
    for hint in ("'lab'", "database", "Nothing was bought."):
        assert hint in str(outcome.error)
    assert (desk.bodies(), desk.airflow.store) == ([], {})


@BUYERS
def test_a_connection_of_another_type_refuses_for_good(desk, kind):
    outcome = desk.run(task(kind, "s3://pixazo_default@bucket/x"), retries=3)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")
    assert "is of type 'pixazo'" in str(outcome.error)
    assert (desk.bodies(), desk.airflow.store) == ([], {})


@BUYERS
def test_a_scheme_whose_package_the_worker_lacks_refuses_for_good(desk, kind):
    outcome = desk.run(task(kind, "dropbox://host/x"), retries=3)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")
    assert "package" in str(outcome.error)
    assert desk.bodies() == []


@BUYERS
def test_a_file_where_the_directory_should_be_refuses_for_good(desk, kind, tmp_path):
    (tmp_path / "videos").write_text("x")
    for path in (tmp_path / "videos", tmp_path / "videos" / "below"):
        outcome = desk.run(task(kind, path), retries=3)
        assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")
        assert "is no directory" in str(outcome.error)
    assert desk.bodies() == []


def test_a_directory_that_this_worker_cannot_write_to_refuses_for_good(desk, tmp_path, monkeypatch):
    def forbidden(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(
        preflights.tempfile, "TemporaryFile", forbidden
    )  # tests may run as root, who may write anywhere
    outcome = desk.run(task(SubmitVideoOperator, tmp_path), retries=3)
    assert "cannot be written to" in str(outcome.error)
    assert desk.bodies() == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/proc/videos", "cannot be used"),
        ("/sys/videos", "cannot"),
        ("{tmp}/" + "x" * 300, "takes no name of more than 255 bytes"),
        ("{tmp}/day/" + "\N{WATER WAVE}" * 64 + "/clips", "takes no name of more than 255 bytes"),
    ],
)
def test_a_place_where_no_directory_can_be_made_refuses_for_good(desk, tmp_path, path, why):
    outcome = desk.run(task(SubmitVideoOperator, path.format(tmp=tmp_path)), retries=3)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")
    assert why in str(outcome.error)
    assert "Nothing was bought." in str(outcome.error)
    assert desk.bodies() == []


@BUYERS
def test_a_directory_that_does_not_exist_yet_is_made_by_the_landing(desk, kind, tmp_path):
    assert desk.run(task(kind, tmp_path / "a" / "b")).state in ("success", "deferred")
    assert desk.accepted == 1
    assert list(tmp_path.iterdir()) == [], "nothing is written beforehand"


@BUYERS
@pytest.mark.parametrize(
    "trouble", [InvalidRequestError("The bucket is gone."), LandingError("The storage does not answer.")]
)
def test_no_refusal_stands_between_a_retry_and_what_an_earlier_try_bought(desk, kind, tmp_path, monkeypatch, trouble):
    desk.run(task(kind, tmp_path), retries=2)
    assert desk.accepted == 1

    def refuse(_):
        raise trouble

    monkeypatch.setattr(preflights, "_check_directory", refuse)
    again = desk.run(task(kind, tmp_path), try_number=2, retries=2)
    assert again.state in ("success", "deferred")
    assert desk.airflow.xcom("task", "request_id") == desk.simulator.ledger()["jobs"][0]["request_id"]


def test_what_is_attached_is_not_held_back_by_a_storage_that_cannot_be_asked(desk):
    made = task(GenerateVideoOperator, "s3://lab@bucket/x", request=None, request_id="r-1")
    desk.run(made, retries=1)
    assert desk.airflow.xcom("task", "request_id") == "r-1"


# Path objects.

PATHS = {  # made when a test runs: the first path object of Airflow imports every storage's provider
    "pathlib": (lambda: pathlib.Path("/videos"), "/videos"),
    "pure": (lambda: pathlib.PurePosixPath("/videos"), "/videos"),
    "object storage": (lambda: ObjectStoragePath("s3://aws_default@bucket/videos"), "s3://aws_default@bucket/videos"),
    "with conn_id": (lambda: ObjectStoragePath("s3://bucket/videos", conn_id="lab"), "s3://lab@bucket/videos"),
    "a local one": (lambda: ObjectStoragePath("file:///videos"), "/videos"),
    "a template": (lambda: ObjectStoragePath("s3://lab@bucket/{{ ds }}"), "s3://lab@bucket/{{ ds }}"),
}


@pytest.mark.slow  # imports every storage's provider
@pytest.mark.parametrize(("make", "text"), PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("kind", [SubmitVideoOperator, GenerateVideoOperator, DownloadVideoOperator])
def test_a_path_object_is_its_text_with_its_connection(kind, make, text):
    assert task(kind, make()).output_path == text


def test_a_template_in_a_path_object_is_rendered(desk, tmp_path):
    (tmp_path / "2026-01-01").write_text("in the way")
    outcome = desk.run(task(SubmitVideoOperator, tmp_path / "{{ ds }}"))
    assert str(tmp_path / "2026-01-01") in str(outcome.error)
