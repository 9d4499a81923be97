"""What a storage says before anything is bought: a missing bucket refuses, a forbidden look does not."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from airflow_video_providers.core.errors import InvalidRequestError, LandingError
from airflow_video_providers.core.landing.preflight import preflight
from tests.storage.filters import Answer, Asked, s3_error
from tests.storage.test_rights import s3_behind

if TYPE_CHECKING:
    from tests.storage.emulators import Backend

pytestmark = pytest.mark.slow


def test_a_bucket_that_is_there_is_taken_and_nothing_is_written(backend: Backend, prefix: str) -> None:
    preflight(f"{backend.root}/{prefix}")
    assert backend.objects(prefix) == {}


def test_a_bucket_that_is_missing_refuses_for_good(backend: Backend) -> None:
    if backend.name == "file":
        pytest.skip("the landing makes directories")
    with pytest.raises(InvalidRequestError, match="does not exist") as caught:
        preflight(f"{backend.root}-elsewhere/videos")
    assert caught.value.charged == "no"
    assert "Nothing was bought." in str(caught.value)
    assert "not bought again" not in str(caught.value)


def test_a_connection_of_another_storage_refuses_for_good(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend.name == "file":
        pytest.skip("no connection")
    monkeypatch.setenv("AIRFLOW_CONN_SSHD", json.dumps({"conn_type": "ssh", "host": "x.invalid"}))
    with pytest.raises(InvalidRequestError, match="of type 'ssh'"):
        preflight(f"{backend.name}://sshd@lab/videos")


def test_a_connection_that_is_missing_is_asked_for_again(backend: Backend) -> None:
    if backend.name == "file":
        pytest.skip("no connection")
    with pytest.raises(LandingError, match="database") as caught:
        preflight(f"{backend.name}://nobody_{uuid.uuid4().hex[:6]}@lab/videos")
    assert caught.value.retryable
    assert (caught.value.charged, caught.value.money) == ("no", "Nothing was bought.")


def test_a_storage_that_forbids_to_look_says_nothing_about_writing(
    s3: Backend, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_behind(lambda asked: s3_error(403, "AccessDenied"), s3, monkeypatch) as root:
        preflight(f"{root}/{prefix}")


def test_a_storage_that_has_trouble_buys_nothing_and_is_asked_again(
    s3: Backend, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(asked: Asked) -> Answer | None:
        return s3_error(503, "SlowDown")

    with s3_behind(rule, s3, monkeypatch) as root, pytest.raises(LandingError) as caught:
        preflight(f"{root}/{prefix}")
    assert caught.value.retryable
    assert caught.value.charged == "no"
    assert "Nothing was bought." in str(caught.value)
