"""The connection form as the API server of the installed Airflow serves it to the user interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from airflow_video_providers.integration.provider_info import get_provider_info

pytestmark = pytest.mark.slow

CONNECTIONS = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}
#: What GET /ui/connections/hook_meta answers with. Before 3.2 it asks the hook classes, behind stand-ins of its own for
#: the form library that no installation needs.
SCRIPT = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
print("FORMS", json.dumps([form.model_dump(mode="json") for form in HookMetaService.hook_meta_data()]))
"""


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment["AIRFLOW_HOME"] = str(tmp_path_factory.mktemp("airflow"))
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "airflow_video_providers" not in done.stderr, "no warning about this provider"
    told = json.loads(done.stdout.rpartition("FORMS ")[2])
    return {form["connection_type"]: form for form in told if form["connection_type"] in CONNECTIONS}


@pytest.mark.parametrize("vendor", CONNECTIONS)
def test_the_form_has_every_field_with_its_label_its_text_and_a_fitting_type(forms, vendor):
    shown = forms[vendor]["extra_fields"]
    assert set(shown) == set(CONNECTIONS[vendor]["conn-fields"])
    for name, field in CONNECTIONS[vendor]["conn-fields"].items():
        assert shown[name]["schema"]["title"] == field["label"]
        assert field["description"] in (shown[name]["description"], shown[name]["schema"].get("description"))
        assert set(shown[name]["schema"]["type"]) & {*field["schema"]["type"], "string"} - {"null"}


@pytest.mark.parametrize("vendor", CONNECTIONS)
def test_the_password_is_the_key_the_host_is_the_address_and_the_rest_is_hidden(forms, vendor):
    form = forms[vendor]
    assert form["hook_name"] == CONNECTIONS[vendor]["hook-name"]
    standard = form["standard_fields"]
    assert standard["password"]["title"] == "API key"
    assert standard["host"]["title"] == "Base URL"
    assert standard["host"]["placeholder"] == CONNECTIONS[vendor]["ui-field-behaviour"]["placeholders"]["host"]
    assert [standard[name]["hidden"] for name in ("login", "port", "url_schema")] == [True, True, True]


@pytest.mark.parametrize("vendor", CONNECTIONS)
def test_buying_is_enabled_where_nobody_says_otherwise(forms, vendor):
    assert forms[vendor]["extra_fields"]["submits_enabled"]["value"] is True
