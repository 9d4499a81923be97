"""Whatever in a worker's environment is in the way of the paid call costs nothing, and a corrected worker's retry buys."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from airflow_video_providers.core.client import environment
from airflow_video_providers.core.errors import VendorUnavailableError
from tests.support.submitting import Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]


@pytest.fixture(params=["state store", "directory"])
def desk(request, video_simulator, monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("SSL")]:
        monkeypatch.delenv(name)
    if request.param == "directory":
        monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path))
    return Desk(video_simulator)


IN_THE_WAY = [
    {"ALL_PROXY": "socks5://127.0.0.1:1080"},
    {"all_proxy": "socks5h://127.0.0.1:1080"},
    {"http_proxy": "ftp://proxy:21"},
    {"HTTP_PROXY": "http://user:s3cret#ss@proxy:3128"},
    {"http_proxy": "http://user:s3cret?ss@127.0.0.1:1"},
    {"http_proxy": "http://proxy:port"},
    {"SSL_CERT_FILE": "/no/such/ca.pem"},
    {"SSL_CERT_FILE": "/dev/null"},
    {"SSL_CERT_DIR": "/no/such/folder"},
    {"SSLKEYLOGFILE": "/no/such/folder/keys"},
]


@pytest.mark.parametrize("variables", IN_THE_WAY, ids=[" ".join(one) + str(n) for n, one in enumerate(IN_THE_WAY)])
def test_an_environment_that_cannot_be_used_leaves_no_intent_and_a_retry_buys(desk, monkeypatch, tmp_path, variables):
    monkeypatch.setattr(environment, "find_spec", lambda _: None)
    task = desk.submit()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    outcome = desk.run(task, try_number=1, retries=3)
    assert isinstance(outcome.error, VendorUnavailableError)
    assert outcome.error.charged == "no"
    assert next(iter(variables)) in str(outcome.error)
    assert "s3cret" not in desk.left_behind(outcome)
    assert desk.accepted == 0
    assert desk.airflow.store == {}
    assert list(tmp_path.rglob("*.json")) == []
    for name in variables:
        monkeypatch.delenv(name)
    assert desk.run(task, try_number=2, retries=3).error is None
    assert desk.accepted == 1
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert desk.run(task, try_number=3, retries=3).error is None, "what is bought needs no way to the vendor"
    assert desk.accepted == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"https_proxy": "ftp://proxy:21"},
        {"HTTPS_PROXY": "socks5://127.0.0.1:1080"},
        {"http_proxy": "ftp://proxy:21", "NO_PROXY": "127.0.0.0/8"},
        {"ALL_PROXY": "socks5://127.0.0.1:1", "no_proxy": "fd00::/8,localhost,127.0.0.1"},
        {"http_proxy": "127.0.0.1:1", "NO_PROXY": "[::1],*"},
        {"NO_PROXY": "[::1]"},
        {"no_proxy": "fd00::/8,localhost"},
    ],
)
def test_what_is_not_in_the_way_is_not_looked_at(desk, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert desk.run(desk.submit()).error is None
    assert desk.accepted == 1


@pytest.mark.parametrize("variables", [{"http_proxy": "127.0.0.1:1"}, {"ALL_PROXY": "http://me:s3cret@127.0.0.1:1"}])
def test_a_proxy_that_is_not_there_costs_nothing_and_is_named(desk, monkeypatch, variables):
    monkeypatch.setattr("airflow_video_providers.core.client.worker_session.time.sleep", lambda _: None)
    monkeypatch.setattr("airflow_video_providers.core.vendors.base.SUBMIT_PATIENCE", timedelta(0))
    task = desk.submit()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    outcome = desk.run(task, try_number=1, retries=3)
    assert isinstance(outcome.error, VendorUnavailableError)
    assert outcome.error.charged == "no"
    assert next(iter(variables)) in str(outcome.error)
    assert "s3cret" not in desk.left_behind(outcome)
    for name in variables:
        monkeypatch.delenv(name)
    assert desk.run(task, try_number=2, retries=3).error is None
    assert desk.accepted == 1
