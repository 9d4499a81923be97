from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.settings import Settings, read_settings
from tests.support.vendors import KEY


def connection(**fields):
    blank = dict.fromkeys(("host", "schema", "port", "extra"))
    return SimpleNamespace(**{"conn_id": "mine", "conn_type": "pixazo", "password": KEY, **blank, **fields})


def refused(**fields):
    with pytest.raises(InvalidRequestError) as caught:
        read_settings(connection(**fields), "pixazo")
    assert caught.value.charged == "no"
    assert "'mine'" in str(caught.value)
    assert KEY not in str(caught.value)
    return caught.value


def test_a_key_is_all_that_a_connection_needs():
    read = read_settings(connection(), "pixazo")
    assert (read.conn_id, read.api_key, read.base_url) == ("mine", KEY, None)
    assert (read.requests_per_minute, read.status_route, read.allow_private_hosts) == (None, "default", frozenset())


def test_the_key_is_in_no_repr():
    read = read_settings(connection(extra='{"note": "sk_other"}'), "pixazo")
    assert KEY not in repr(read)
    assert "sk_other" not in repr(read)


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": ""}, None),
        ({"host": "   "}, None),
        ({"host": "https://gateway.example/"}, "https://gateway.example"),
        ({"host": "https://gateway.example/video//"}, "https://gateway.example/video"),
        ({"host": "gateway.example"}, "https://gateway.example"),
        ({"host": "gateway.example", "schema": "https", "port": 8443}, "https://gateway.example:8443"),
        ({"host": "https://gateway.example:8443", "port": 1}, "https://gateway.example:8443"),
        ({"host": "https://h", "port": 8443}, "https://h:8443"),
        ({"host": "https://[::1]/v", "port": 8443}, "https://[::1]:8443/v"),
    ],
)
def test_the_address_is_read_however_airflow_spells_it(fields, base_url):
    assert read_settings(connection(**fields), "pixazo").base_url == base_url


@pytest.mark.parametrize(
    "host",
    [
        "ftp://gateway.example",
        "https://",
        "https://[half",
        "https://gateway.example:99999",
        "https://gateway.example:port",
        "https://user:secret@gateway.example",
        "https://gateway.example?to=elsewhere",
        "https://gateway.example/#part",
        "://gateway.example",
    ],
)
def test_an_address_that_cannot_be_called_is_refused_without_repeating_it(host):
    error = refused(host=host)
    assert "Write it as https://host" in str(error)
    assert "secret" not in str(error)
    assert error.field == "host"


def test_a_key_is_not_sent_in_clear():
    error = refused(host="http://gateway.example")
    assert "in clear" in str(error)
    assert "allow_private_hosts" in str(error)
    refused(host="http://gateway.example", extra='{"allow_private_hosts": ["localhost"]}')


@pytest.mark.parametrize("allowed", ['["GATEWAY.example"]', '"other.example, gateway.example"'])
def test_a_simulator_may_be_called_in_clear_where_the_connection_names_it(allowed):
    extra = f'{{"allow_private_hosts": {allowed}}}'
    read = read_settings(connection(host="http://Gateway.example:8099", extra=extra), "pixazo")
    assert read.base_url == "http://Gateway.example:8099"


def test_another_vendors_connection_is_refused():
    error = refused(conn_type="segmind")
    assert "'segmind'" in str(error)
    assert "'pixazo'" in str(error)
    assert "conn_id" in str(error)


@pytest.mark.parametrize("key", [None, "", "  \n"])
def test_a_connection_without_a_key_says_where_it_belongs(key):
    assert "Set its password to the API key." in str(refused(password=key))


@pytest.mark.parametrize("extra", ["{", "[]", '"text"', "7", "submits_enabled: false"])
def test_an_extra_that_cannot_be_read_may_hold_a_limit_and_stops_everything(extra):
    error = refused(extra=extra)
    assert "may hold a limit" in str(error)
    assert error.field == "extra"


@pytest.mark.parametrize("value", [0, -1, "many", True, "nan", "inf", []])
def test_a_request_budget_is_a_number_above_zero(value):
    with pytest.raises(InvalidRequestError, match=r"requests_per_minute.*a number above 0"):
        _ = Settings("mine", KEY, extra={"requests_per_minute": value}).requests_per_minute


@pytest.mark.parametrize(("value", "read"), [(None, None), ("", None), (30, 30.0), ("7.5", 7.5)])
def test_a_request_budget_is_read_as_number_or_text(value, read):
    assert Settings("mine", KEY, extra={"requests_per_minute": value}).requests_per_minute == read


@pytest.mark.parametrize("value", [True, 7, {"localhost": True}])
def test_private_hosts_are_a_list(value):
    with pytest.raises(InvalidRequestError, match=r"allow_private_hosts.*a list of host names"):
        _ = Settings("mine", KEY, extra={"allow_private_hosts": value}).allow_private_hosts


@pytest.mark.parametrize("value", [False, "false", "False "])
def test_buying_can_be_switched_off(value):
    assert Settings("mine", KEY, extra={"submits_enabled": value}).submits_enabled is False


@pytest.mark.parametrize("value", ["maybe", 0, []])
def test_a_switch_that_is_neither_on_nor_off_is_refused(value):
    with pytest.raises(InvalidRequestError, match=r"submits_enabled.*true or false"):
        _ = Settings("mine", KEY, extra={"submits_enabled": value}).submits_enabled


OTHER = "/68a5784c0828c041ba519ca6/v1/generate"


@pytest.mark.parametrize(
    "written",
    [{"pixazo:mochi-v1": OTHER}, json.dumps({"pixazo:mochi-v1": OTHER}), f' {{"pixazo:mochi-v1 ": "{OTHER}"}} '],
)
def test_a_model_may_be_bought_at_another_path(written):
    assert read_settings(connection(extra=json.dumps({"paths": written})), "pixazo").paths == {"pixazo:mochi-v1": OTHER}


@pytest.mark.parametrize("written", [None, "", "  ", {}])
def test_without_one_the_documented_path_holds(written):
    assert read_settings(connection(extra=json.dumps({"paths": written})), "pixazo").paths == {}


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "relative", "https://elsewhere.example/v1", "//elsewhere.example/v1", "/a//b", "/../v1", "/a/../b", "/a/..",
        "/.", "/a/./b", "/%2e%2e/b", "/a%2fb", "/a?b=c", "/a#b", "/a\\b", "/a b", "/a\n", "/a\r\nHost: x", "/\u202ea", "/ü",
        "/a/" + "b" * 300, "/a@b:80/../c", "@elsewhere.example/a", "\t/a", "/a/", "/...", None, 7, ["/a"], {"path": "/a"},
    ],
)  # fmt: skip
def test_a_path_that_could_lead_anywhere_else_is_refused(path):
    settings = read_settings(connection(extra=json.dumps({"paths": {"pixazo:mochi-v1": path}})), "pixazo")
    with pytest.raises(InvalidRequestError, match="paths") as caught:
        _ = settings.paths
    assert caught.value.charged == "no"


@pytest.mark.parametrize("written", ["{", "[]", [], 7, True, '"/a"', "[" * 100_000, '{"m": {"a": 1}}'])
def test_paths_that_are_no_table_are_refused(written):
    with pytest.raises(InvalidRequestError, match="paths"):
        _ = read_settings(connection(extra=json.dumps({"paths": written})), "pixazo").paths
