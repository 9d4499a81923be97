"""Connections: what a form, a URI or JSON stores is understood, and a test of a connection spends nothing."""

from __future__ import annotations

import json
import socket
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from airflow.models.connection import Connection  # noqa: TID251 # the class that tests a connection

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.budget import Budget
from airflow_video_providers.core.purchase.limits import Limits
from airflow_video_providers.core.purchase.owner_fields import read_fields
from airflow_video_providers.core.purchase.pricing import estimate
from airflow_video_providers.core.settings import read_settings
from airflow_video_providers.hooks.connection_form import FIELDS
from airflow_video_providers.testing.simulator import running
from tests.support.vendors import request

VENDORS = ["pixazo", "appypie", "segmind"]
MODEL = "segmind:mochi-1"


@pytest.fixture(scope="module")
def simulator():
    with running() as handle:
        yield handle


def try_out(monkeypatch, connection):
    """As ``airflow connections test`` does it."""
    conn_id = f"{connection['conn_type']}_tested"
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
    return Connection.get_connection_from_secrets(conn_id).test_connection()


# Testing a connection.


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_good_connection_says_so_and_that_nothing_was_spent(monkeypatch, simulator, vendor):
    simulator.reset()
    good, message = try_out(monkeypatch, simulator.connection(vendor))
    assert good
    assert "Nothing was spent" in message
    assert simulator.ledger()["accepted"] == simulator.ledger()["charges"] == 0
    assert simulator.requests(vendor), "it has to ask the vendor"


def test_segminds_test_tells_the_credits(monkeypatch, simulator):
    simulator.reset()
    assert "credits left: 1000" in try_out(monkeypatch, simulator.connection("segmind"))[1]


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_refused_key_is_told_from_a_job_that_does_not_exist(monkeypatch, simulator, vendor):
    simulator.reset()
    good, message = try_out(monkeypatch, simulator.connection(vendor, key="bad-0123456789"))
    assert not good
    assert "Check the API key" in message
    assert "Nothing was spent by this test." in message
    assert "bad-0123456789" not in message
    assert simulator.ledger()["accepted"] == 0


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor_that_is_down_is_not_a_bad_key(monkeypatch, simulator, vendor):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connection = {**simulator.connection(vendor), "host": f"http://127.0.0.1:{port}"}
    good, message = try_out(monkeypatch, connection)
    assert not good
    assert "Nothing was spent by this test." in message
    assert "API key" not in message


class Broken(BaseHTTPRequestHandler):
    """A gateway whose service is down."""

    def do_GET(self):
        self.send_error(502)

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor_with_an_error_of_its_own_is_not_a_bad_key(monkeypatch, simulator, vendor):
    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = {**simulator.connection(vendor), "host": f"http://127.0.0.1:{server.server_port}"}
        good, message = try_out(monkeypatch, connection)
        server.shutdown()
    assert not good
    assert "502" in message
    assert "Nothing was spent by this test." in message
    assert "API key" not in message


@pytest.mark.parametrize(
    ("change", "told"), [({"password": ""}, "has no API key"), ({"host": "ftp://x"}, "not an address")]
)
def test_what_is_missing_is_told_without_asking_the_vendor(monkeypatch, simulator, change, told):
    simulator.reset()
    good, message = try_out(monkeypatch, {**simulator.connection("pixazo"), **change})
    assert not good
    assert told in message
    assert simulator.requests() == []


ROWS = [{"usd": 0.3, "when": {"seed": 1}}, {"usd": 0.2}]


def test_all_prices_are_read_and_counted_by_the_test(monkeypatch, simulator):
    simulator.reset()
    connection = simulator.connection("segmind")
    connection["extra"] = {**connection["extra"], "prices": {MODEL: ROWS}}
    assert try_out(monkeypatch, connection)[1].endswith("It has its own prices of segmind:mochi-1 (2 rows).")


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (0.4, "model id"),
        ({MODEL: ROWS[::-1]}, "can never hold"),
        ({MODEL: [{"usd": 1, "when": {"sead": 1}}]}, "'sead'"),
        ({"segmind:mochi-2": 1}, "segmind:mochi-1"),
        ({"pixazo:mochi-v1": 1}, "another vendor"),
    ],
)
def test_a_price_that_is_wrong_fails_the_test_with_what_is_allowed(monkeypatch, simulator, prices, said):
    connection = simulator.connection("segmind")
    connection["extra"] = {**connection["extra"], "prices": prices}
    good, message = try_out(monkeypatch, connection)
    assert not good
    assert said in message
    assert "prices" in message
    assert "Nothing was spent by this test." in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("requests_per_minute", "many"), ("allow_private_hosts", {"a": 1}), ("download_user_agent", "a\nb"), ("prices", 0.4),
        ("paths", "x"), ("max_cost_usd", "x"), ("max_run_cost_usd", -1), ("allow_unknown_price", "maybe"), ("submits_enabled", "maybe"),
        ("callbacks", "maybe"), ("status_route", "nope"), ("budget", {"usd": 1}), ("fields", [1]), ("min_remaining_credits", "few"),
    ],
)  # fmt: skip
def test_every_setting_is_read_by_the_test(monkeypatch, simulator, name, value):
    if name not in {*FIELDS, "status_route"}:
        pytest.skip("no such setting")
    connection = simulator.connection("pixazo")
    connection["extra"] = {**connection["extra"], name: value}
    good, message = try_out(monkeypatch, connection)
    assert not good, message
    assert name in message or name in ("status_route", "download_user_agent")  # their errors have words of their own


def test_a_setting_that_nothing_reads_is_named(monkeypatch, simulator):
    connection = simulator.connection("pixazo")
    connection["extra"] = {**connection["extra"], "max_cost_us": 1}
    good, message = try_out(monkeypatch, connection)
    assert good
    assert message.endswith("Nothing reads 'max_cost_us' in its extra.")


@pytest.mark.parametrize(("vendor", "name"), [("fal", "output_lifetime"), ("replicate", "cancel_after")])
def test_a_vendors_own_setting_is_read_by_the_test_of_its_connection_alone(monkeypatch, simulator, vendor, name):
    for conn_type in ("fal", "replicate"):
        connection = simulator.connection(conn_type)
        connection["extra"] = {**connection["extra"], name: "soon"}
        good, message = try_out(monkeypatch, connection)
        if conn_type == vendor:
            assert not good
            assert f"{name} in the connection's extra is 'soon'; it must be seconds" in message
        else:
            assert good
            assert message.endswith(f"Nothing reads {name!r} in its extra.")
        connection["extra"][name] = "2h"
        assert try_out(monkeypatch, connection)[0]


# What a connection stores.

#: A form that was filled in: Airflow stores numbers, booleans and text; the older forms, and URIs, text only.
FILLED = {
    "requests_per_minute": 30,
    "allow_private_hosts": " gpu.internal, 127.0.0.1 ",
    "download_user_agent": "Mozilla/5.0",
    "paths": '{"segmind:mochi-1": "/v2/other"}',
    "prices": '{"segmind:mochi-1": {"usd": 0.20, "per": "generation"}}',
    "max_cost_usd": 0.5,
    "max_run_cost_usd": 10,
    "budget": '{"usd": 50, "per": "day"}',
    "min_remaining_credits": 20,
    "fields": '{"seed": 7, "brand_new": null}',
    "allow_unknown_price": True,
    "submits_enabled": True,
    "callbacks": False,
}


def understood(extra):
    settings = read_settings(
        Connection(conn_id="c", conn_type="segmind", password="k", extra=json.dumps(extra)), "segmind"
    )
    cost = estimate(request(MODEL), settings.extra.get("prices"))
    return (
        settings.requests_per_minute,
        settings.allow_private_hosts,
        cost.usd,
        Limits.of(settings.extra),
        settings.status_route,
        settings.submits_enabled,
        settings.callbacks,
        settings.paths,
        read_fields(settings.extra.get("fields")),
        settings.min_remaining_credits,
    )


def test_this_test_fills_in_every_field():
    assert FILLED.keys() == FIELDS.keys()


@pytest.mark.parametrize("form", [FILLED, {name: str(value) for name, value in FILLED.items()}])
def test_a_filled_form_is_understood_as_numbers_and_as_text(form):
    assert understood(form) == (
        30,
        {"gpu.internal", "127.0.0.1"},
        Decimal("0.20"),
        Limits(Decimal("0.5"), Decimal(10), allow_unknown_price=True, budget=Budget(Decimal(50), "day")),
        "default",
        True,
        False,
        {"segmind:mochi-1": "/v2/other"},
        {"seed": 7, "brand_new": None},
        20,
    )


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_form_that_was_not_filled_in_means_the_defaults(nothing):
    blank = dict.fromkeys((*FIELDS, "status_route"), nothing)
    assert (
        understood(blank) == understood({}) == (None, frozenset(), None, Limits(), "default", True, True, {}, {}, None)
    )


@pytest.mark.parametrize("off", [False, "false", "False"])
def test_buying_can_be_switched_off_in_every_form(off):
    assert understood({"submits_enabled": off})[5] is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prices", "{not json"),
        ("prices", "[1]"),
        ("prices", '{"segmind:mochi-1": "cheap"}'),
        ("requests_per_minute", "many"),
        ("max_cost_usd", "-1"),
        ("submits_enabled", "maybe"),
        ("callbacks", "maybe"),
    ],
)
def test_what_cannot_be_understood_names_its_field(name, value):
    with pytest.raises(InvalidRequestError, match=name):
        understood({name: value})


URI = (
    "segmind://:SG_key@api.segmind.com/?requests_per_minute=30&max_cost_usd=0.50&submits_enabled=true"
    "&prices=%7B%22segmind%3Amochi-1%22%3A+0.20%7D"
)


def test_a_uri_is_understood():
    settings = read_settings(Connection(conn_id="c", uri=URI), "segmind")
    assert (settings.base_url, settings.api_key) == ("https://api.segmind.com", "SG_key")
    assert settings.requests_per_minute == 30
    assert estimate(request(MODEL), settings.extra["prices"]).usd == Decimal("0.20")
    assert Limits.of(settings.extra) == Limits(Decimal("0.50"))


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_shortest_uri_is_a_key(vendor):
    settings = read_settings(Connection(conn_id="c", uri=f"{vendor}://:the-key@"), vendor)
    assert (settings.base_url, settings.api_key) == (None, "the-key")


def test_an_address_with_scheme_and_port_can_stand_in_a_uri():
    uri = "pixazo://http://:any@127.0.0.1:8099/?allow_private_hosts=127.0.0.1"
    settings = read_settings(Connection(conn_id="c", uri=uri), "pixazo")
    assert (settings.base_url, settings.allow_private_hosts) == ("http://127.0.0.1:8099", {"127.0.0.1"})
