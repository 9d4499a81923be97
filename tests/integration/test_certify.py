"""``video-certify`` against simulators that are as documented, and against some that were made to differ."""

from __future__ import annotations

import json

import pytest

from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.hooks.calls import CallingHook
from airflow_video_providers.integration.certify_cli import main
from airflow_video_providers.integration.models_cli import main as models
from airflow_video_providers.testing.certification.transcript import Transcript, certified
from airflow_video_providers.testing.simulator import running
from airflow_video_providers.testing.simulator.fal import Fal
from airflow_video_providers.testing.simulator.handle import KEYS
from airflow_video_providers.testing.simulator.open_schema import OPENAPI, PRICE
from airflow_video_providers.testing.simulator.replicate import Replicate

pytestmark = pytest.mark.slow

FAL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"
MAGICA = "replicate:studio/magica"
CASES = [
    ("pixazo", None, {}),
    ("appypie", "appypie:mochi-1", {"appypie:mochi-1": 0.2}),
    ("segmind", "segmind:mochi-1", {"segmind:mochi-1": 0.2}),
    ("fal", FAL, {FAL: 0.2}),
    ("replicate", MAGICA, {MAGICA: 0.3}),
]


class Here:
    """A folder, a simulator, and the connections of it."""

    def __init__(self, monkeypatch, folder, simulator):
        self._monkeypatch, self.folder, self.simulator = monkeypatch, folder, simulator
        monkeypatch.chdir(folder)
        (folder / "ledger").mkdir()
        for vendor in catalogue.vendors().values():
            monkeypatch.setattr(vendor, "poll_seconds", (0.1, 0.2))
            monkeypatch.setattr(vendor, "documented_poll_seconds", None)
        monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(folder / "ledger"))

    def connect(self, vendor, **extra):
        connection = self.simulator.connection(vendor)
        connection["extra"] |= extra
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps(connection))

    def certify(self, vendor, model=None, *more, prices=None, given="{}"):
        self.connect(vendor, **({"prices": prices} if prices else {}))
        named = ["--model", model] if model else []
        return main(["--conn-id", f"{vendor}_default", "--max-usd", "0.50", *named, "--request", given,
                     "--transcript", "t.json", *more])  # fmt: skip

    @property
    def transcript(self):
        return Transcript.read(self.folder / "t.json")


@pytest.fixture
def here(monkeypatch, tmp_path):
    with running(queue_seconds=(0.2, 0.2), run_seconds=(0.3, 0.3)) as simulator:
        yield Here(monkeypatch, tmp_path, simulator)


@pytest.fixture(params=[])
def other(request, monkeypatch, tmp_path):
    """A simulator with a gateway of its own."""
    with running(request.param, queue_seconds=(0.3, 0.3), run_seconds=(2.5, 2.5)) as simulator:
        yield Here(monkeypatch, tmp_path, simulator)


@pytest.mark.parametrize(("vendor", "model", "prices"), CASES, ids=[case[0] for case in CASES])
def test_a_first_run_says_what_it_would_spend_and_yes_buys_one_clip_that_differs_in_nothing_and_holds_no_secret(
    here, capsys, vendor, model, prices
):
    assert here.certify(vendor, model, prices=prices) == 0
    assert "Nothing was sent" in (said := capsys.readouterr().out)
    assert "estimated to cost $0." in said
    assert here.simulator.requests() == []
    assert not (here.folder / "t.json").exists()

    assert here.certify(vendor, model, "--yes", prices=prices) == 0, capsys.readouterr()
    assert "nothing differs" in capsys.readouterr().out
    assert here.simulator.ledger()["charges"] == 1
    assert here.simulator.violations() == []
    (manifest,) = (here.folder / "certified").rglob("manifest.json")
    transcript = here.transcript
    assert transcript.complete
    assert [one["sha256"] for one in transcript.files] == [
        one["sha256"] for one in json.loads(manifest.read_text())["outputs"]
    ]
    assert {one.verb for one in transcript.exchanges} >= {"submit", "status"}
    holds_no_secret(here, vendor)
    assert main(["--offline", "t.json"]) == 0


def holds_no_secret(here, vendor):
    """No key, no part of it, no signed address, no id."""
    text = (here.folder / "t.json").read_text()
    assert KEYS[vendor] not in text
    assert KEYS[vendor].partition("_")[2] not in text
    assert "?" not in text
    assert [job["request_id"] for job in here.simulator.ledger()["jobs"] if job["request_id"] in text] == []
    assert "{id}" in text


def test_a_transcript_of_a_simulator_certifies_nothing(here):
    assert here.certify("pixazo", "pixazo:mochi-v1", "--yes") == 0
    (here.folder / "shipped").mkdir()
    right = here.transcript.model_copy(update={"address": "https://gateway.pixazo.ai", "certified_on": "2026-12-01"})
    (here.folder / "shipped" / "simulator.json").write_text(here.transcript.text())
    assert certified(here.folder / "shipped") == {}
    (here.folder / "shipped" / "real.json").write_text(right.text())
    assert certified(here.folder / "shipped") == {"pixazo": "2026-12-01"}
    (here.folder / "shipped" / "real.json").write_text(right.model_copy(update={"complete": False}).text())
    assert certified(here.folder / "shipped") == {}


# Where the vendor is not as documented.


class RenamedField(Fal):
    def _status(self, *given):
        answer = super()._status(*given)
        content = {("position" if name == "queue_position" else name): value for name, value in answer.content.items()}
        return answer.replace(content=content)


class OtherWord(Fal):
    def _status(self, *given):
        answer = super()._status(*given)
        return answer.replace(
            content=answer.content | ({"status": "RUNNING"} if answer.content["status"] == "IN_PROGRESS" else {})
        )


class UnknownWord(Replicate):
    def _status(self, *given):
        answer = super()._status(*given)
        said = answer.content["status"]
        return answer.replace(content=answer.content | {"status": "on the easel" if said == "processing" else said})


class OtherCode(Replicate):
    async def _submit(self, *given):
        return (await super()._submit(*given)).replace(status=202)


class OtherType(Fal):
    def _result(self, *given):
        answer = super()._result(*given)
        return answer.replace(content=answer.content | {"seed": "42"}) if answer.status == 200 else answer


class NotListedWhileItWaits(Fal):
    def _history(self, call, faults):
        answer = super()._history(call, faults)
        ended = [item for item in answer.content["items"] if "ended_at" in item]
        return answer.replace(content=answer.content | {"items": ended})


FAL_PRICES = {FAL: 0.2}


@pytest.mark.parametrize(
    ("other", "vendor", "model", "prices", "said"),
    [
        (RenamedField, "fal", FAL, FAL_PRICES, ["status, IN_QUEUE: queue_position: is missing", "status, IN_QUEUE: position: no sample"]),
        (OtherWord, "fal", FAL, FAL_PRICES, ["status word: 'RUNNING' instead of 'IN_PROGRESS'"]),
        (UnknownWord, "replicate", MAGICA, {MAGICA: 0.2}, ["the status word 'on the easel', which nobody knows"]),
        (OtherCode, "replicate", MAGICA, {MAGICA: 0.2}, ["submit, starting: http: 202 instead of 201"]),
        (OtherType, "fal", FAL, FAL_PRICES, ["status, call 2: seed: text instead of number"]),
        (NotListedWhileItWaits, "fal", FAL, FAL_PRICES, ["history: items[]: is missing"]),
    ],
    indirect=["other"],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_what_differs_is_named_and_the_clip_lands_all_the_same(other, capsys, vendor, model, prices, said):
    assert other.certify(vendor, model, "--yes", prices=prices) == 1
    lines = capsys.readouterr().out
    for line in said:
        assert line in lines
    assert other.transcript.complete
    assert main(["--offline", "t.json"]) == 1
    assert all(line in capsys.readouterr().out for line in said[:1])


# A pinned schema, and what the vendor shows now.


@pytest.fixture
def pinned(here, monkeypatch):
    """Two states and a price line of the model, of which the file holds the first."""
    here.connect("fal")
    assert models(["fetch", FAL, "--into", "kling.json"]) == 0

    def certify(*more, prices=None):
        return here.certify("fal", None, "--schema", "kling.json", *more, prices=prices)

    return certify


def shows(monkeypatch, *, fields=None, price=None):
    known = OPENAPI["components"]["schemas"]["MagicaInput"]["properties"]
    for name, field in (fields or {}).items():
        monkeypatch.setitem(known, name, field)
    if price is not None:
        monkeypatch.setitem(PRICE, "unit_price", price)


def test_a_pinned_schema_that_is_still_what_the_vendor_shows_differs_in_nothing(here, pinned, capsys):
    assert pinned() == 0
    assert "Its schema was fetched on" in capsys.readouterr().out
    asked = len(here.simulator.requests())
    assert pinned("--yes") == 0, capsys.readouterr()
    assert "nothing differs" in capsys.readouterr().out
    assert (here.transcript.model, here.transcript.pinned.changes) == (FAL, [])
    assert len(here.simulator.requests()) > asked


def test_what_the_vendor_shows_otherwise_than_the_pinned_schema_is_named_also_offline(
    here, pinned, monkeypatch, capsys
):
    shows(monkeypatch, fields={"camera": {"type": "object"}, "seed": {"type": "string"}}, price=0.04)
    assert pinned("--yes") == 1
    for said in (capsys.readouterr().out, main(["--offline", "t.json"]) == 1 and capsys.readouterr().out):
        assert "new field: camera" in said
        assert "field that changed: seed" in said
        assert "price line: " in said
    assert here.transcript.complete, "what costs no more than was said is bought all the same"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"price": 0.06}, "was said"),
        ({"fields": {"prompt": {"type": "string", "maxLength": 3}}}, "'prompt'"),
        ({"price": 0}, None),
    ],
    ids=["dearer", "no longer taken", "cheaper"],
)
def test_what_costs_more_than_was_said_or_is_no_longer_taken_is_not_bought(
    here, pinned, monkeypatch, capsys, change, said
):
    shows(monkeypatch, **change)
    assert pinned("--yes") == 1
    captured = capsys.readouterr()
    assert "pinned schema: fetched" in captured.out
    assert here.simulator.ledger()["submits"] == (1 if said is None else 0)
    assert said is None or said in captured.err


def test_a_vendor_that_does_not_describe_its_model_now_is_noted_and_the_clip_is_bought(
    here, pinned, monkeypatch, capsys
):
    monkeypatch.setattr(Fal, "_models", lambda self, *_: self.error(503))
    assert pinned("--yes") == 0, capsys.readouterr()
    assert "not compared: pinned schema" in capsys.readouterr().out


def test_a_clip_that_is_paid_for_lands_whatever_the_vendor_shows_meanwhile(here, pinned, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CallingHook, "wait", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pinned("--yes")
    shows(monkeypatch, price=0.09)
    assert pinned("--yes") == 1
    assert here.transcript.complete
    assert here.simulator.ledger()["accepted"] == 1


class RenamedId(Fal):
    async def _submit(self, *given):
        answer = await super()._submit(*given)
        return answer.replace(content={f"{name}_": value for name, value in answer.content.items()})


@pytest.mark.parametrize("other", [RenamedId], indirect=True)
def test_an_answer_that_cannot_be_read_is_in_the_transcript_and_is_not_bought_again(other, capsys):
    for _ in range(2):
        assert other.certify("fal", FAL, "--yes", prices=FAL_PRICES) == 1
    assert other.simulator.ledger()["charges"] + other.simulator.ledger()["accepted"] >= 1
    assert other.simulator.ledger()["accepted"] == 1
    assert "request_id: is missing" in capsys.readouterr().out


# Money.


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"prices": {FAL: 0.6}}, "max_cost_usd is $0.50"),
        ({}, "the price of this request is not known"),
        ({"prices": FAL_PRICES, "max_cost_usd": 0.1}, "max_cost_usd is $0.1"),
        ({"prices": FAL_PRICES, "submits_enabled": False}, "submits_enabled"),
        ({"prices": FAL_PRICES, "budget": {"usd": 0.1, "per": "day"}}, "allows per day"),
    ],
)
def test_no_rule_on_money_is_passed_by(here, capsys, extra, said):
    here.connect("fal", **extra)
    arguments = ["--conn-id", "fal_default", "--max-usd", "0.50", "--model", FAL, "--transcript", "t.json", "--yes"]
    assert main(arguments) == 1
    assert said in capsys.readouterr().err
    assert here.simulator.ledger()["submits"] == 0


def test_without_a_ledger_nothing_is_bought(here, monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", "")
    assert here.certify("pixazo", "pixazo:mochi-v1", "--yes") == 1
    assert "LEDGER_PATH" in capsys.readouterr().err
    assert here.simulator.requests() == []


def test_what_could_not_land_or_be_written_is_said_before_the_purchase(here, capsys):
    (here.folder / "file").write_text("")
    assert here.certify("pixazo", "pixazo:mochi-v1", "--yes", "--output", "file/below") == 1
    assert here.certify("pixazo", "pixazo:mochi-v1", "--yes", "--transcript", "nowhere/t.json") == 1
    (here.folder / "t.json").write_text("{}")
    assert here.certify("pixazo", "pixazo:mochi-v1", "--yes") == 1
    assert "is no transcript" in capsys.readouterr().err
    assert here.simulator.requests() == []


def test_a_clip_that_was_bought_and_has_not_landed_is_taken_up(here, capsys):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CallingHook, "wait", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            here.certify("pixazo", "pixazo:mochi-v1", "--yes")
    assert [one.verb for one in here.transcript.exchanges] == ["submit", "status"]
    assert not here.transcript.complete
    assert here.certify("pixazo", "pixazo:mochi-v1", "--yes") == 0, capsys.readouterr()
    assert here.simulator.ledger()["accepted"] == 1
    assert here.transcript.complete
    assert here.transcript.exchanges[0].verb == "submit"
    assert here.certify("pixazo", "pixazo:mochi-v1", "--yes") == 1, "the transcript of a whole clip is kept"
    (here.folder / "t.json").rename(here.folder / "first.json")
    assert here.certify("pixazo", "pixazo:mochi-v1", "--yes") == 0
    assert here.simulator.ledger()["accepted"] == 2


def test_a_lost_answer_is_found_in_the_history_and_not_bought_again(here, capsys):
    here.simulator.fault("drop_after_accept", count=1)
    assert here.certify("fal", FAL, "--yes", prices=FAL_PRICES) == 1
    assert here.certify("fal", FAL, "--yes", prices=FAL_PRICES) in (0, 1), capsys.readouterr()
    assert here.simulator.ledger()["accepted"] == 1
    assert list((here.folder / "certified").rglob("manifest.json"))


def test_offline_needs_no_connection_and_a_file_that_is_none_is_refused(tmp_path, capsys):
    (tmp_path / "no.json").write_text("[")
    assert main(["--offline", str(tmp_path / "no.json")]) == 1
    assert "no transcript" in capsys.readouterr().err
    assert main(["--yes"]) == 1
    assert "--conn-id is needed" in capsys.readouterr().err
