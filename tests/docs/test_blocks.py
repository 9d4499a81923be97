"""Every block of README and docs runs, or is read as what it is for reads it."""

from __future__ import annotations

import argparse
import asyncio
import configparser
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from airflow.cli import cli_parser
from airflow.providers.common.compat.sdk import conf
from airflow.sdk import DAG, Connection
from airflow.serialization.serialized_objects import DagSerialization

from airflow_video_providers.core.polling.timing import Timing
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.pricing import estimate
from airflow_video_providers.core.purchase.records import Attempt, AttemptState
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory, ObjectDirectory
from airflow_video_providers.core.settings import read_settings
from airflow_video_providers.core.vendors.catalogue import vendors
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.hooks.pixazo import PixazoHook
from airflow_video_providers.integration.certify_cli import COMMAND as CERTIFY
from airflow_video_providers.integration.ledger_cli import main as ledger_command
from airflow_video_providers.integration.models_cli import GROUP as MODELS
from airflow_video_providers.integration.models_cli import main as models_command
from airflow_video_providers.integration.provider_info import get_provider_info
from tests.support.airflow import MemoryAirflow
from tests.support.pages import PAGES, ROOT, Block, Page, blocks
from tests.support.vendors import request

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
OPTIONS = get_provider_info()["config"]["video_providers"]["options"]
#: Blocks of tests/testing/conformance/test_guide.py.
GUIDE = "docs/adding-a-vendor.md"
RUN_HERE = {"python", "console", "bash", "dockerfile", "json", "yaml", "ini"}
#: What a comment before a block may ask for, beyond that it runs.
TESTS = {"lands a clip", "serializes", "counts purchases", "a schema", "hooks in a task", "the client by itself"}


def python_pages() -> list[Page]:
    return [page for page in PAGES if page.name != GUIDE and any(block.language == "python" for block in page.blocks)]


def marked(what: str) -> list[Block]:
    return [block for page in PAGES for block in page.blocks if block.mark == ("test", what)]


def run(block: Block, names: dict[str, Any], folder: Path) -> None:
    text = block.text.replace("s3://aws_default@bucket", str(folder))
    text = re.sub(r"^with (DAG\(.*?\)):$", r"with (dag := \1):", text, flags=re.MULTILINE | re.DOTALL)
    exec(compile(text, block.page, "exec"), names)  # noqa: S102 - running the pages is what this test is for


# All blocks.


def test_every_block_is_of_a_kind_that_is_run_here_or_built_by_sphinx():
    for page in PAGES:
        kinds = {block.language for block in page.blocks if page.name != GUIDE}
        directives = {kind for kind in kinds if kind.startswith("{")}
        assert kinds - directives <= RUN_HERE, f"{page.name}: what a program prints is generated"
        assert directives <= {"{toctree}", "{include}", "{eval-rst}", "{literalinclude}"}, page.name


def test_every_mark_is_one_that_a_test_looks_for():
    used = Counter(block.mark[1] for page in PAGES for block in page.blocks if block.mark and block.mark[0] == "test")
    assert used == {
        "lands a clip": 2,
        "serializes": 1,
        "counts purchases": 1,
        "a schema": 1,
        "hooks in a task": 4,
        "the client by itself": 2,
    }
    assert set(used) == TESTS


@pytest.mark.slow
def test_what_is_generated_is_what_the_code_says():
    # in a process of its own: other tests here add models to the catalogue
    ran = subprocess.run([sys.executable, ROOT / "scripts" / "docs.py", "--check"], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout.decode() + ran.stderr.decode()


# Python.


@pytest.mark.parametrize("page", python_pages(), ids=lambda page: page.name)
def test_every_python_block_runs_and_every_dag_serializes(page, tmp_path):
    names: dict[str, Any] = {}
    for block in page.blocks:
        if block.language != "python":
            continue
        names.pop("dag", None)
        if "DAG(" in block.text:
            run(block, names, tmp_path)
            dag = names["dag"]
        else:
            with DAG("of_the_reader", schedule=None) as dag:  # tasks without a DAG are a piece of the reader's own
                run(block, names, tmp_path)
        tasks = DagSerialization.to_dict(dag)["dag"]["tasks"]
        assert bool(tasks) == ("task_id=" in block.text or "@task" in block.text)


@pytest.mark.parametrize("block", marked("lands a clip"), ids=lambda block: block.page)
def test_the_first_pipeline_lands_a_clip(block, video_simulator, tmp_path):
    video_simulator.reset()
    video_simulator.configure(queue_seconds=(0, 0), run_seconds=(0, 0))
    names: dict[str, Any] = {}
    run(block, names, tmp_path)
    airflow = MemoryAirflow({"pixazo_default": video_simulator.connection("pixazo")})
    wait = names["wait"]
    assert airflow.run(names["submit"]).state == "success"
    wait.deferrable, wait.own_pace, wait.poke_interval = False, True, 0.02
    assert airflow.run(wait).state == "success"
    assert airflow.run(names["land"]).state == "success"
    (output,) = airflow.xcom("land")["outputs"]
    assert (output["width"], output["height"], output["duration_s"]) == (1280, 720, 5.0)
    assert Path(output["uri"].removeprefix("file://")).stat().st_size == output["bytes"]


@pytest.fixture
def _soon(monkeypatch):
    """Polls at once: a real job takes a minute."""
    monkeypatch.setattr(Timing, "first_poll", lambda *_: 0.0)
    monkeypatch.setattr(Timing, "pause", lambda *_, **__: 0.02)


def numbered(what: str) -> list[Any]:
    return [pytest.param(block, id=f"{block.page} {number}") for number, block in enumerate(marked(what))]


@pytest.mark.slow
@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("block", numbered("hooks in a task"))
def test_hooks_in_a_task_land_what_they_buy(block, video_simulator, tmp_path):
    video_simulator.reset()
    video_simulator.configure(queue_seconds=(0, 0), run_seconds=(0, 0))
    names: dict[str, Any] = {}
    run(block, names, tmp_path)
    airflow = MemoryAirflow({"pixazo_default": video_simulator.connection("pixazo")})
    for number in (1, 2):
        outcome = airflow.run(names["dag"].get_task("clip"), try_number=number, retries=1)
        assert outcome.state == "success", outcome.error
    landed = airflow.xcom("clip")
    manifests = landed if isinstance(landed, list) else [landed]
    for manifest in manifests:
        (output,) = manifest["outputs"]
        assert Path(output["uri"].removeprefix("file://")).stat().st_size == output["bytes"]
    tries = 1 if "task_ledger" in block.text else 2  # as the pages say
    assert video_simulator.ledger()["charges"] == tries * len(manifests)


@pytest.mark.slow
@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("block", numbered("the client by itself"))
def test_the_client_by_itself_lands_what_it_buys(block, video_simulator, tmp_path):
    video_simulator.reset()
    video_simulator.configure(queue_seconds=(0, 0), run_seconds=(0, 0))
    names: dict[str, Any] = {}
    run(block, names, tmp_path)
    vendor = Pixazo(video_simulator.base_url("pixazo"))
    given = "a fox", str(tmp_path)

    async def in_a_loop() -> dict[str, Any]:
        async with names["AsyncVideoClient"](vendor, "any-key") as client:
            return await names["clip"](client, *given, allow_private_hosts=["127.0.0.1"])

    if "AsyncVideoClient" in names:
        manifest = asyncio.run(in_a_loop())
    else:
        with names["VideoClient"](vendor, "any-key") as client:
            manifest = names["clip"](client, *given, allow_private_hosts=["127.0.0.1"])
    (output,) = manifest["outputs"]
    assert Path(output["uri"].removeprefix("file://")).stat().st_size == output["bytes"]
    assert video_simulator.ledger()["charges"] == 1


@pytest.mark.parametrize("block", marked("lands a clip"), ids=lambda block: block.page)
def test_the_first_pipeline_needs_no_logical_date(block):
    """A run by hand or by an asset has none, and its templates would not render."""
    assert not re.search(r"\{\{\s*(ds|ts|logical_date|data_interval)", block.text)


@pytest.mark.parametrize("purchases", [1, 2])
def test_the_test_that_a_page_shows_passes_where_a_pipeline_pays_once(
    video_simulator, monkeypatch, purchases, tmp_path
):
    (block,) = marked("counts purchases")
    names: dict[str, Any] = {}
    run(block, names, tmp_path)

    def run_my_pipeline():
        hook = PixazoHook()
        for job in [hook.submit("pixazo:mochi-v1", {"prompt": "a fox"}) for _ in range(purchases)]:
            video_simulator.advance(60)
            assert hook.status(job).status == "succeeded"
        hook.close()

    video_simulator.reset()
    names["run_my_pipeline"] = run_my_pipeline
    with nullcontext() if purchases == 1 else pytest.raises(AssertionError):
        names["test_my_pipeline_pays_once"](video_simulator, monkeypatch)


def test_the_schema_that_a_page_asks_for_is_one(tmp_path):
    (block,) = marked("a schema")
    names: dict[str, Any] = {}
    run(block, names, tmp_path)
    assert names["schema"]["required"] == ["prompt"]


# Connections.


def connections() -> list[tuple[str, Connection]]:
    found = [(block.page, Connection.from_json(block.text, conn_id="of_a_page")) for block in blocks("json")]
    for block in blocks("bash"):
        for name, value in re.findall(r"^export AIRFLOW_CONN_(\w+)='(.*)'$", block.text, re.MULTILINE):
            make = Connection.from_json if value.startswith("{") else Connection.from_uri
            found.append((block.page, make(value, conn_id=name)))
    return found


@pytest.mark.parametrize("made", connections(), ids=lambda made: f"{made[0]} {made[1].conn_id}")
def test_every_connection_is_understood(made):
    _, connection = made
    assert connection.conn_type in vendors()
    settings = read_settings(connection, connection.conn_type)
    assert settings.api_key in {"YOUR_API_KEY", "any-key"}
    known = set().union(*(kind["conn-fields"] for kind in get_provider_info()["connection-types"]))
    assert set(settings.extra) <= known


def test_both_ways_to_write_a_connection_say_the_same():
    read = [read_settings(made, "segmind") for page, made in connections() if page == "docs/connections.md"]
    assert [settings.requests_per_minute for settings in read] == [120, 120]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("size", ["360p", "480p", "540p", "720p", "1080p"])
@pytest.mark.parametrize("audio", [True, False])
def test_the_price_list_that_a_page_shows_says_what_the_vendor_prints(size, audio):
    (page,) = (page for page in PAGES if page.name == "docs/connections.md")
    shown = page.text.partition("<!-- generated: price list -->\n\n```json\n")[2].partition("```")[0]
    prices = read_settings(Connection.from_json(shown, conn_id="of_a_page"), "pixazo").extra["prices"]
    (model,) = prices
    wanted = request(model, resolution=size, generate_audio_switch=audio, duration=7)
    own, documented = estimate(wanted, prices), estimate(wanted)
    assert own.usd == documented.usd
    assert (own.usd is None) == (size == "480p")


# Commands.


def commands() -> list[str]:
    return [line[2:] for block in blocks("console") for line in block.text.splitlines() if line.startswith("$ ")]


def test_a_console_block_holds_commands_and_no_output():
    for block in blocks("console"):
        assert all(line.startswith("$ ") for line in block.text.splitlines()), block


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_command_exists(command):
    words = shlex.split(command)
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^{re.escape(goal)}:", makefile, re.MULTILINE) for goal in words[1:] if "=" not in goal)
    elif words[0] == "python":
        ran = subprocess.run([sys.executable, *words[1:], "--help"], capture_output=True, check=False)
        assert ran.returncode == 0
    elif words[0] == "export":  # in the guide
        assert words[1].startswith("AIRFLOW_CONN_")
    elif words[:2] == ["airflow", "video-models"] and words[2] in ("fetch", "check"):  # these ask a vendor
        MODELS.parser("models").parse_args(words[2:])
    elif words[:2] == ["airflow", "video-certify"]:  # it buys
        CERTIFY.reads(argparse.ArgumentParser()).parse_args(words[2:])
    elif words[:2] == ["airflow", "video-models"]:  # Airflow 3.1 asks no provider for commands
        assert models_command(words[2:]) == 0
    elif words[:2] != ["airflow", "video-ledger"]:
        assert words[0] == "airflow"
        cli_parser.get_parser().parse_args(words[1:])  # exits where there is no such command or option


def spends(words: list[str]) -> str:
    assert ledger_command(words) == 0
    return "count" if "json" in words else "charged 0"


def reconciles(words: list[str]) -> str:
    def option(name: str, default: str) -> str:
        return words[words.index(name) + 1] if name in words else default

    first = option("--id-column", "request_id") if "--time-column" not in words else option("--time-column", "")
    cell = "26.11.2026 12:00" if "--time-column" in words else "unheard-of"
    amount = option("--amount-column", "amount")
    Path("INVOICE.csv").write_text(f"{first};{amount}\n{cell};0{option('--decimal', '.')}40\n")
    assert ledger_command(words) == 1
    return "difference +40 cents"


def audits(words: list[str]) -> str:
    if "--verify" not in words:
        assert ledger_command(words) == 0
        assert ledger_command(["audit", "--verify", words[words.index("--file") + 1]]) == 0
    else:
        assert ledger_command(["audit", "--file", words[words.index("--verify") + 1]]) == 0
        assert ledger_command(words) == 0
    return "0 manifests and 0 files compared, 0 problems."


#: Commands that write nothing into the ledger, and what they say of one with one unknown outcome.
ACCOUNTING = {"spend": spends, "reconcile": reconciles, "audit": audits}


@pytest.mark.parametrize("command", sorted({command for command in commands() if "video-ledger" in command}))
def test_a_way_out_by_hand_works_as_it_is_written(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path))
    words = shlex.split(command)[2:]
    ledger, index = Ledger(LocalDirectory(tmp_path)), 3 if "--map-index" in words else -1
    lost = Attempt(dag_id="DAG", run_id="RUN", task_id="TASK", map_index=index, number=1, purchase=1,
                   state=AttemptState.UNKNOWN, created_at=datetime.now(UTC), model="pixazo:mochi-v1")  # fmt: skip
    ledger.create(lost)
    if words[0] in ACCOUNTING:
        monkeypatch.chdir(tmp_path)
        assert ACCOUNTING[words[0]](words) in capsys.readouterr().out
        return
    assert ledger_command(words) == 0
    said = capsys.readouterr().out
    if words[0] == "list":
        assert json.loads(said)[0]["state"] == "unknown" if "json" in words else "DAG RUN TASK" in said
    (attempt,) = ledger.attempts(lost.identity)
    written = {"list": "unknown", "attach": "submitted", "forget": "forgotten"}[words[0]]
    assert attempt.state == ("unknown" if "--dry-run" in words else written)


@pytest.mark.parametrize("block", blocks("bash", "dockerfile"), ids=str)
def test_what_is_installed_exists(block):
    for extra in re.findall(r"pip install .*?'airflow-video-providers\[(\w+)\]'", block.text):
        assert extra in EXTRAS
    known = r"(FROM apache/airflow:3\.3|(RUN )?pip install .*'airflow-video-providers\[|export AIRFLOW_CONN_)"
    assert all(re.match(known, line) for line in block.text.splitlines()), block.text


@pytest.mark.parametrize("name", ["README.md", "docs/running/install.md"])
def test_all_extras_are_named(name):
    (page,) = [page for page in PAGES if page.name == name]
    assert set(re.findall(r"`(\w+)`", re.search(r"^Extras: (.*?)\.", page.text, re.MULTILINE | re.DOTALL)[1])) == set(
        EXTRAS
    )


# Configuration.


@pytest.mark.parametrize("block", [block for block in blocks("ini") if block.page != GUIDE], ids=str)
def test_every_option_exists(block):
    parsed = configparser.ConfigParser()
    parsed.read_string(block.text)
    for section in parsed.sections():
        known = OPTIONS if section == "video_providers" else conf.configuration_description[section]["options"]
        assert set(parsed[section]) <= set(known), section
    if path := parsed.get("video_providers", "ledger_path", fallback=""):
        parts = urlsplit(path)
        assert parts.scheme in ObjectDirectory.EXCLUSIVE
        assert parts.username, "a ledger on object storage names its connection"
    assert parsed.get("video_providers", "on_clear", fallback="resubmit") in ("resubmit", "reattach")


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_every_variable_of_an_environment_is_one_that_is_read(block):
    for variable in yaml.safe_load(block.text)["env"]:
        name = variable["name"]
        option = name.removeprefix("AIRFLOW__VIDEO_PROVIDERS__").lower()
        assert option in OPTIONS or name.removeprefix("AIRFLOW_CONN_").lower() in {f"{v}_default" for v in vendors()}


def test_every_option_of_ours_that_a_page_names_exists():
    for page in PAGES:
        for option in re.findall(r"AIRFLOW__VIDEO_PROVIDERS__(\w+)", page.text):
            assert option.lower() in OPTIONS, page.name
