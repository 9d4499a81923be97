"""Whatever object an argument is given, what leaves an operator is an error of this package, and nothing is bought twice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from tests.support.submitting import V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]


class Unreadable:
    """Cannot be shown, compared or counted."""

    def __repr__(self):
        raise RuntimeError("not shown")

    def __str__(self):
        raise RuntimeError("not told")


#: What Airflow itself cannot render or store, a parsed DAG must refuse.
AT_PARSE = {
    "unreadable": Unreadable(), "nan": float("nan"), "inf": float("inf"), "huge": 10**5000, "decimal": Decimal("sNaN"),
    "half": "\ud800", "endless": timedelta(days=10**8), "long": "x" * 10_000, "exception": ValueError("x"),
}  # fmt: skip
ANYTHING = {
    "object": object(), "bytes": b"\xff", "list": [1, [2]], "dict": {"a": {1}}, "negative": -1, "bool": True, "float": 1.5,
    "text": "what is this", "control": "a\x00\x1b", "tuple": ("a", b"b"),
}  # fmt: skip
BUYING = [
    "model", "request", "request_id", "conn_id", "extra_fields", "on_clear", "on_unknown_outcome", "max_cost_usd",
    "max_run_cost_usd", "allow_unknown_price", "queue_timeout",
]  # fmt: skip
LANDING = [
    "output_path", "overwrite", "verify", "media_types", "key_template", "poster", "max_bytes", "download_timeout",
    "extra_manifest", "keep_rejected", "source_paths", "download_user_agent", "encryption",
]  # fmt: skip
WAITING = [
    "deferrable", "timeout", "poll_interval", "soft_fail", "never_fail", "resubmit_on_error", "synchronous",
]  # fmt: skip
CASES = [
    *((SubmitVideoOperator, name) for name in [*BUYING, "output_path"]),
    *((GenerateVideoOperator, name) for name in [*BUYING, *LANDING, *WAITING]),
    *((DownloadVideoOperator, name) for name in ["job", *LANDING]),
]


@pytest.fixture
def desk(video_simulator):
    return Desk(video_simulator)


def arguments(kind, tmp_path):
    given = {"task_id": "task"}
    if kind is DownloadVideoOperator:
        given["job"] = {
            "model": V6,
            "request_id": "r-1",
            "status": "succeeded",
            "outputs": [{"url": "https://x.invalid/"}],
        }
    else:
        given |= {"model": V6, "request": {"prompt": "a fox"}}
    return given if kind is SubmitVideoOperator else given | {"output_path": str(tmp_path)}


def refusal(kind, given):
    """What parsing says of it; None where it is taken."""
    with DAG("dag", schedule=None):
        try:
            kind(**given)
        except InvalidRequestError as error:
            return error
    return None


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind.__name__}.{name}" for kind, name in CASES])
def test_an_argument_of_any_type_is_taken_or_refused_by_name_at_parse(tmp_path, kind, name):
    for value in [*AT_PARSE.values(), *ANYTHING.values()]:
        error = refusal(kind, arguments(kind, tmp_path) | {name: value})
        assert error is None or ("Nothing was charged." in str(error) and len(str(error)) < 800)


RENDERED = [(kind, name) for kind, name in CASES if name in kind.template_fields and name != "extra_manifest"]


@pytest.mark.parametrize("value", ANYTHING.values(), ids=ANYTHING)
@pytest.mark.parametrize(("kind", "name"), RENDERED, ids=[f"{kind.__name__}.{name}" for kind, name in RENDERED])
def test_what_a_template_gives_is_taken_or_refused_by_name(desk, tmp_path, kind, name, value):
    with DAG("dag", schedule=None, render_template_as_native_obj=True, user_defined_macros={"anything": value}):
        task = kind(**arguments(kind, tmp_path) | {name: "{{ anything }}"})
    outcome = desk.run(task)
    assert outcome.error is None or isinstance(outcome.error, VideoProviderError), repr(outcome.error)
    assert desk.accepted <= 1
