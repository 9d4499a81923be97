"""What a user may rely on. A name that goes missing here breaks somebody's DAG: see docs/running/upgrades.md."""

from __future__ import annotations

import importlib
import inspect
from typing import TypeVar

import pytest

EXPORTED = {
    "operators.video": {"SubmitVideoOperator", "DownloadVideoOperator", "GenerateVideoOperator"},
    "sensors.video": {"VideoJobSensor"},
    "triggers.video": {"VideoJobTrigger"},
    "hooks.base": {"VideoHook"},
    "hooks.connection_form": {"connection_type", "field", "FIELDS"},
    "hooks.pixazo": {"PixazoHook"},
    "hooks.appypie": {"AppyPieHook"},
    "hooks.segmind": {"SegmindHook"},
    "hooks.fal": {"FalHook"},
    "hooks.replicate": {"ReplicateHook"},
    "jobs": {"VideoJob", "VideoOutput", "OutputRole", "JobStatus", "read_job", "public_text"},
    "models": {"VideoModel", "Price", "Text", "HttpUrl", "Number", "WholeNumber", "optional", "required"},
    "catalogue": {"find", "models", "vendors", "vendor_of", "ENTRY_POINT_GROUP", "MODELS_GROUP"},
    "conformance": {"CHECKS", "Check", "Subject"},
    "simulator": {"running", "SimulatorHandle"},
    "simulator.pytest_plugin": {"video_simulator"},
    "testing.simulator.gateway": {"Gateway", "Route"},
    "testing.simulator.schema": {"Field", "Model"},
    "testing.simulator.wire": {"Answer", "Call"},
    "testing.simulator.clip": {"ClipSpec"},
    "client": {"VideoClient", "AsyncVideoClient"},
    "core.polling.decision": {"after", "timed_out", "PollState", "Verdict", "Trouble", "TROUBLES", "GRACE", "lost", "believed"},
    "core.settings": {"Settings", "read_settings", "ConnectionLike"},
    "vendors.base": {"Vendor", "Flow"},
    "vendors.pixazo": {
        "Pixazo", "PixazoModel", "MochiV1", "PixverseV6TextToVideo", "PixverseV6ImageToVideo", "PixverseC1TextToVideo",
        "PixverseC1ImageToVideo", "PixverseV56TextToVideo", "PixverseV56ImageToVideo",
    },
    "vendors.appypie": {"AppyPie", "AppyPieModel", "Mochi1"},
    "vendors.segmind": {"Segmind", "SegmindModel", "Mochi1"},
    "vendors.fal": {"Fal"},
    "vendors.replicate": {"Replicate"},
    "exceptions": {
        "VideoProviderError", "InvalidRequestError", "LedgerError", "VendorError", "AuthenticationError",
        "InsufficientCreditsError", "RequestRejectedError", "RateLimitedError", "VendorUnavailableError",
        "SubmissionOutcomeUnknownError", "JobError", "JobFailedError", "JobErroredError", "JobCancelledError",
        "JobExpiredError", "JobUnknownError", "JobTimeoutError", "OutputMissingError", "DownloadError",
        "OutputExpiredError", "OutputRejectedError", "LandingError", "Charged", "describe", "rebuild",
    },
}  # fmt: skip


#: Where the names of a public module stand.
PLACES = {
    "exceptions": "core.errors", "jobs": "core.jobs", "client": "core.client.client",
    "core.polling.decision": "core.polling.decision", "core.settings": "core.settings",
    "vendors.pixazo": "core.vendors.pixazo", "vendors.segmind": "core.vendors.segmind",
    "vendors.fal": "core.vendors.fal", "vendors.replicate": "core.vendors.replicate",
}  # fmt: skip


def module(name):
    return importlib.import_module(f"airflow_video_providers.{name}")


@pytest.mark.parametrize("name", EXPORTED)
def test_every_name_that_users_import_is_there(name):
    assert EXPORTED[name] <= set(vars(module(name)))


@pytest.mark.parametrize("name", list(PLACES))
def test_nothing_else_of_these_modules_looks_public(name):
    own = {
        key
        for key, value in vars(module(PLACES[name])).items()
        if not key.startswith("_")
        and not isinstance(value, TypeVar)
        and getattr(value, "__module__", None) == f"airflow_video_providers.{PLACES[name]}"
    }
    assert own <= EXPORTED[name]


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("operators.video:SubmitVideoOperator", {"model", "request", "request_id", "conn_id", "on_clear", "on_unknown_outcome", "max_cost_usd"}),
        ("operators.video:DownloadVideoOperator", {"job", "output_path", "overwrite"}),
        ("operators.video:GenerateVideoOperator", {"model", "request", "request_id", "conn_id", "output_path", "deferrable", "timeout"}),
        ("sensors.video:VideoJobSensor", {"job", "model", "request_id", "conn_id", "deferrable", "timeout", "poke_interval"}),
    ],
)  # fmt: skip
def test_operators_and_sensor_take_the_names_of_the_design_by_keyword_only(place, names):
    name, _, kind = place.partition(":")
    found = {}
    for base in getattr(module(name), kind).__mro__:
        if base.__module__.startswith("airflow_video_providers"):
            found |= dict(inspect.signature(base.__init__).parameters)
    assert names <= set(found)
    assert "params" not in found, "BaseOperator owns it"
    for parameter in names:
        assert found[parameter].kind is inspect.Parameter.KEYWORD_ONLY, parameter


def test_every_argument_of_the_trigger_has_a_default_because_old_serialized_ones_exist():
    found = dict(inspect.signature(module("triggers.video").VideoJobTrigger).parameters)
    assert {"job", "poll_interval", "end_time"} <= set(found)
    open_ended = inspect.Parameter.VAR_KEYWORD
    assert all(one.default is not one.empty or one.kind is open_ended for one in found.values())


@pytest.mark.parametrize("place", ["client:VideoClient", "client:AsyncVideoClient", "hooks.base:VideoHook"])
def test_no_type_of_httpx_is_in_the_public_signatures(place):
    name, _, kind = place.partition(":")
    for method, function in inspect.getmembers(getattr(module(name), kind), inspect.isfunction):
        if not method.startswith("_") or method == "__init__":
            assert "httpx" not in str(inspect.signature(function)), method
