"""The worst mistakes, made in the file of every vendor that ships: the suite finds each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.base import Vendor
from airflow_video_providers.testing.conformance import CHECKS, ConformanceError
from airflow_video_providers.testing.pytest_plugin import video_simulator, video_simulator_server  # noqa: F401
from tests.testing.conformance.test_shipped_vendors import subject_of

if TYPE_CHECKING:
    from airflow_video_providers.testing.simulator import SimulatorHandle

BY_NAME = {check.__name__: check for check in CHECKS}
MODELS = {
    "pixazo": "pixazo:pixverse-v6-text-to-video",
    "appypie": "appypie:mochi-1",
    "segmind": "segmind:mochi-1",
    "fal": "fal:fal-ai/kling-video/v2.1/standard/text-to-video",
    "replicate": "replicate:studio/magica",
}
_ADDRESSES = ("polling_url", "poll_url", "status_url", "response_url")


def trusts_the_word(vendor: Any) -> Any:
    """Whatever ends is a success."""

    class Mutant(vendor):
        def status(self, job: Any) -> Any:
            seen = self.read_job(job, (yield from self.send_read(self.status_call(job), job)))
            ended = seen.status.terminal and seen.status is not JobStatus.EXPIRED
            return seen.replace(status=JobStatus.SUCCEEDED) if ended else seen

    return Mutant


def takes_the_wrong_id(vendor: Any) -> Any:
    """The state's word for the job's id."""
    return type("Mutant", (vendor,), {"id_paths": ("status",)})


def takes_the_key_to_the_answers_address(vendor: Any) -> Any:
    """Polls at whatever address an answer has named."""

    class Mutant(vendor):
        address = ""

        def _bought(self, request: Any, sent_at: Any, answer: Any) -> Any:
            body = {**(answer.body or {}), **(answer.body or {}).get("urls", {})}
            found = [body[name] for name in (*_ADDRESSES, "get") if isinstance(body.get(name), str)]
            type(self).address = found[0] if found else "https://elsewhere.example/"
            return super()._bought(request, sent_at, answer)

        def status_call(self, job: Any) -> Any:
            return httpx.Request("GET", self.address)

        def _get_status(self, prefix: str, job: Any) -> Any:  # Appy Pie's, of which it has two
            return self.status_call(job)

    return Mutant


def cancels_after_the_end(vendor: Any) -> Any:
    """Calls what cancels, or deletes, without asking first."""

    class Mutant(vendor):
        def cancel(self, job: Any) -> Any:
            yield from self.send_read(self.cancel_call(job), job)
            return (yield from self.status(job))

    return Mutant


def shows_the_first_of_several(vendor: Any) -> Any:
    """Of equal jobs in the history the first."""

    class Mutant(vendor):
        def history(self, model: str, since: Any, until: Any) -> Any:
            shown = yield from super().history(model, since, until)
            bodies = [one.body for one in shown]
            return [one for number, one in enumerate(shown) if one.body not in bodies[:number]]

    return Mutant


def reads_the_first_page_alone(vendor: Any) -> Any:
    """What stands behind it in the history is not seen."""

    class Mutant(vendor):
        def history(self, model: str, since: Any, until: Any) -> Any:
            flow = super().history(model, since, until)
            answer = yield next(flow)
            try:
                flow.send(httpx.Response(200, json={**answer.json(), "next": None, "has_more": False}))
            except StopIteration as read:
                return read.value
            raise AssertionError("It asks for more than one page though there is none.")

    return Mutant


def says_that_all_were_made_now(vendor: Any) -> Any:
    """The time at which the history was asked for, for the time at which a job was made."""

    class Mutant(vendor):
        def history(self, model: str, since: Any, until: Any) -> Any:
            shown = yield from super().history(model, since, until)
            return [one._replace(created_at=self.now()) for one in shown]

    return Mutant


def takes_any_job_for_one_of_the_model(vendor: Any) -> Any:
    """Believes whatever id a call names."""
    return type("Mutant", (vendor,), {"is_of_model": lambda *_: True})


def leaves_our_address_out(vendor: Any) -> Any:
    """The submit says nothing of it."""

    class Mutant(vendor):
        def submit_call(self, request: Any, wire: Any, callback: Any = None) -> Any:
            return super().submit_call(request, wire)

    return Mutant


MUTANTS = [
    (trusts_the_word, "a_failed_job_is_failed_whatever_its_word"),
    (takes_the_wrong_id, "a_job_comes_to_its_end_with_all_its_outputs"),
    (takes_the_key_to_the_answers_address, "no_address_from_an_answer_is_called"),
    (cancels_after_the_end, "a_cancel_asks_first_and_leaves_alone_what_has_ended"),
    (shows_the_first_of_several, "what_the_history_shows_is_what_was_sent"),
    (reads_the_first_page_alone, "a_history_is_read_to_its_last_page"),
    (says_that_all_were_made_now, "a_history_says_when_a_job_was_made_however_late_it_is_asked"),
    (takes_any_job_for_one_of_the_model, "an_id_that_a_call_names_belongs_to_its_own_model_alone"),
    (leaves_our_address_out, "our_address_goes_with_the_submit_whole_and_in_every_mode"),
]
_OF_A_HISTORY = (shows_the_first_of_several, reads_the_first_page_alone, says_that_all_were_made_now)


def can(vendor: Any, mutate: Any) -> bool:
    """Has the vendor the verb that the mistake is made in?"""
    if mutate is cancels_after_the_end:
        return bool(vendor.cancel_call is not Vendor.cancel_call)
    if mutate is leaves_our_address_out:
        return bool(vendor.webhook_modes)
    return mutate not in _OF_A_HISTORY or vendor.history_kept is not None


CASES = [
    pytest.param(name, mutate, check, id=f"{name}-{mutate.__name__}")
    for name in MODELS
    for mutate, check in MUTANTS
    if can(catalogue.vendors()[name], mutate)
]


@pytest.mark.parametrize(("name", "mutate", "check"), CASES)
def test_each_is_found_and_the_vendor_itself_passes(
    video_simulator: SimulatorHandle,  # noqa: F811  the fixture
    name: str,
    mutate: Any,
    check: str,
) -> None:
    subject = subject_of(MODELS[name], video_simulator)
    BY_NAME[check](subject)
    with pytest.raises(ConformanceError):
        BY_NAME[check](replace(subject, vendor=mutate(subject.vendor)))


def test_every_vendor_that_ships_has_its_mutants_and_the_aggregators_have_them_all() -> None:
    ours = {name for name, kind in catalogue.vendors().items() if kind.__module__.startswith("airflow_video_providers")}
    assert ours == MODELS.keys()
    assert {name: sum(case.values[0] == name for case in CASES) for name in ("fal", "replicate")} == {
        "fal": len(MUTANTS),
        "replicate": len(MUTANTS),
    }
