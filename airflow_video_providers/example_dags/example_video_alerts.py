"""Alerting by error class: who is called depends on what happened, and on what it did to the bill.

``error.charged`` is ``"yes"``, ``"no"`` or ``"unknown"``. Before Airflow 3.3 an error that a retry cannot help reaches the
callback inside of an ``AirflowFailException``: its cause is the error.
"""

from __future__ import annotations

from airflow.sdk import Param, dag

from airflow_video_providers.exceptions import (
    AuthenticationError,
    InsufficientCreditsError,
    SubmissionOutcomeUnknownError,
    VideoProviderError,
)
from airflow_video_providers.operators.video import GenerateVideoOperator


def error_behind(exception):
    """The package's own error, in whatever Airflow has wrapped it."""
    while exception is not None and not isinstance(exception, VideoProviderError):
        exception = exception.__cause__
    return exception


def alert(context):
    """Print the line that you would send."""
    error = error_behind(context.get("exception"))
    if error is None:
        whom, bill = "on-call", "unknown"
    elif isinstance(error, InsufficientCreditsError | AuthenticationError):
        whom, bill = "account owner", error.charged
    elif isinstance(error, SubmissionOutcomeUnknownError) or error.charged == "yes":
        whom, bill = "on-call", error.charged  # money is out, and no clip is in
    else:
        whom, bill = "DAG author", error.charged
    print(
        f"ALERT for {whom}: {type(error).__name__}, charged: {bill}, request_id: {getattr(error, 'request_id', None)}"
    )


@dag(
    schedule=None,
    params={
        "prompt": Param("A rocking chair sways on a veranda in the rain", type="string"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
    default_args={"on_failure_callback": alert},
)
def example_video_alerts():
    GenerateVideoOperator(
        task_id="generate",
        model="pixazo:pixverse-v6-text-to-video",
        request={"prompt": "{{ params.prompt }}", "duration": 5},
        output_path="{{ params.output_path }}",
    )


example_video_alerts()
