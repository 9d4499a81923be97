"""The suite is worth something only if it finds what is wrong: each of these vendors breaks one rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.core.errors import AuthenticationError, RequestRejectedError, VendorError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.models import Price, VideoModel
from airflow_video_providers.core.vendors.pixazo import MochiV1, Pixazo
from airflow_video_providers.core.vendors.replicate import Replicate
from airflow_video_providers.core.vendors.wire import Wire
from airflow_video_providers.testing.conformance import CHECKS, ConformanceError, Subject
from airflow_video_providers.testing.pytest_plugin import video_simulator, video_simulator_server  # noqa: F401
from tests.testing.conformance.test_shipped_vendors import subject_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.testing.simulator import SimulatorHandle

BY_NAME = {check.__name__: check for check in CHECKS}


@pytest.fixture
def subject(video_simulator: SimulatorHandle) -> Subject:  # noqa: F811  the fixture
    video_simulator.configure(frozen_clock=True)
    return Subject(
        vendor=Pixazo,
        request=MochiV1(prompt="a paper boat in the rain"),
        failing=MochiV1(prompt="[[fault:job_failed]] a paper boat in the rain"),
        url=video_simulator.base_url("pixazo"),
        words={"QUEUED": JobStatus.QUEUED, "COMPLETED": JobStatus.SUCCEEDED, "ERROR": JobStatus.ERROR},
        finish=lambda: video_simulator.advance(600),
    )


class SendsTwice(Pixazo):
    def send_paid(self, request: Any, call: Any, bought: Any) -> Any:
        yield call
        return (yield from super().send_paid(request, call, bought))


class PutsTheKeyElsewhere(Pixazo):
    key_header = "Authorization"

    def call(self, method: str, path: str, *, json: Any = None) -> Any:
        request = super().call(method, path, json=json)
        request.headers["X-Key"] = "conformance-0123456789abcdef"
        return request


class CallsALostAnswerARefusal(Pixazo):
    def send_paid(self, request: Any, call: Any, bought: Any) -> Any:
        try:
            return (yield from super().send_paid(request, call, bought))
        except VendorError as error:
            raise RequestRejectedError("It failed.", model=request.id) from error


class TakesAWordForAFailure(Pixazo):
    def read_job(self, job: Any, answer: Any) -> Any:
        seen = super().read_job(job, answer)
        return seen.replace(status=JobStatus.FAILED) if seen.status is JobStatus.UNKNOWN else seen


class TakesATroubledGatewayForTheJob(Pixazo):
    failure_codes = frozenset({500})


class TakesA404ForAFailure(Pixazo):
    def unlabelled(self, answer: Any, job: Any) -> Any:
        return (JobStatus.FAILED, "HTTP 404") if answer.status == 404 else super().unlabelled(answer, job)


class FindsNoOutputs(Pixazo):
    def read_job(self, job: Any, answer: Any) -> Any:
        return super().read_job(job, answer).replace(outputs=())


class TakesAnybodysAnswer(Pixazo):
    id_paths = ()


class TakesTheFirstId(Pixazo):
    def _bought(self, request: Any, sent_at: Any, answer: Any) -> Any:
        found = (answer.body or {}).get("id")
        return VideoJob(model=request.id, request_id=found) if found else super()._bought(request, sent_at, answer)


class TakesEvery403ForTheKey(Pixazo):
    def read_job(self, job: Any, answer: Any) -> Any:
        if answer.status == 403:
            raise AuthenticationError("The key is wrong.", model=job.model)
        return super().read_job(job, answer)


class TakesAStrayForAFailure(Pixazo):
    failure_codes = frozenset({409})

    def unlabelled(self, answer: Any, job: Any) -> Any:
        return (JobStatus.FAILED, "HTTP 418") if answer.status == 418 else super().unlabelled(answer, job)


class KnowsItsOwnWordsOnly(Pixazo):
    words = {"InProgress": JobStatus.UNKNOWN}


class TrustsTheShape(Pixazo):
    def read_job(self, job: Any, answer: Any) -> Any:
        (answer.body or {"output": {}})["output"]["media_url"].strip()
        return super().read_job(job, answer)


class SaysTheModeAndNoAddress(Pixazo):
    def webhook_headers(self, callback: Any) -> Any:
        return {"X-Webhook-Mode": callback.mode}


class CutsTheAddressShort(Pixazo):
    def webhook_headers(self, callback: Any) -> Any:
        return {**super().webhook_headers(callback), "X-Webhook-URL": callback.url.partition("?")[0]}


class BelievesNoIdAtAll(Pixazo):
    def is_of_model(self, model: Any, body: Any) -> bool:
        return False


class ForgetsAnEnd(Pixazo):
    charged = {JobStatus.QUEUED: "yes"}


class FollowsThePollingAddress(Pixazo):
    polling_url = ""

    def _bought(self, request: Any, sent_at: Any, answer: Any) -> Any:
        type(self).polling_url = (answer.body or {}).get("polling_url", "")
        return super()._bought(request, sent_at, answer)

    def status_call(self, job: Any) -> Any:
        call = super().status_call(job)
        return type(call)("GET", self.polling_url or call.url)


class TrustsTheWord(Pixazo):
    words = {"FAILED": JobStatus.SUCCEEDED}


class TellsNoReason(Pixazo):
    reason_paths = ("why",)


class LosesAField(Pixazo):
    def wire(self, request: Any, extra_fields: Any) -> Wire:
        return Wire({"input": {"text": "a video"}} | dict(extra_fields))


class LosesTheExtraFields(Pixazo):
    def wire(self, request: Any, extra_fields: Any) -> Wire:
        return Wire(request.body())


class PutsExtraFieldsElsewhere(Pixazo):
    def wire(self, request: Any, extra_fields: Any) -> Wire:
        return Wire({"input": request.body(), **extra_fields})


class ForgetsTheHeaders(Pixazo):
    def wire(self, request: Any, extra_fields: Any) -> Wire:
        return Wire({**request.body(), **extra_fields}, {"X-Version": "2024-11-06"})

    def submit_call(self, request: Any, wire: Wire, callback: Any = None) -> Any:
        return self.call("POST", self.path_of(request), json=wire.body)


class AsksForTheResult(Pixazo):
    """A status that says COMPLETED, and a result in a call of its own, as several vendors have it."""

    def status(self, job: Any) -> Any:
        seen = yield from super().status(job)
        if seen.status is not JobStatus.SUCCEEDED:
            return seen
        answer = yield from self.send_read(self.status_call(job), job)
        return self.read_result(seen, answer)

    def read_result(self, seen: Any, answer: Any) -> Any:
        return self.read_job(seen, answer)


class TakesATransientErrorForAFailure(AsksForTheResult):
    def read_result(self, seen: Any, answer: Any) -> Any:
        return super().read_result(seen, answer) if answer.ok else seen.replace(status=JobStatus.FAILED)


class TakesATransientErrorForSuccess(AsksForTheResult):
    def read_result(self, seen: Any, answer: Any) -> Any:
        return super().read_result(seen, answer) if answer.ok else seen


class GoesInClearElsewhere(Pixazo):
    other_urls = {"lists": "http://lists.pixazo.ai"}


class GoesInClear(Pixazo):
    base_url = "http://gateway.pixazo.ai"


@pytest.mark.parametrize(
    ("vendor", "check"),
    [
        (SendsTwice, "a_submit_returns_a_job_and_sends_the_key_home_only"),
        (SendsTwice, "a_lost_answer_is_an_unknown_outcome_and_is_never_repeated"),
        (PutsTheKeyElsewhere, "a_submit_returns_a_job_and_sends_the_key_home_only"),
        (CallsALostAnswerARefusal, "a_lost_answer_is_an_unknown_outcome_and_is_never_repeated"),
        (CallsALostAnswerARefusal, "a_refusal_is_the_right_error_and_costs_nothing"),
        (CallsALostAnswerARefusal, "what_was_never_sent_costs_nothing"),
        (TakesAWordForAFailure, "a_word_that_nobody_knows_is_unknown_and_not_an_end"),
        (TakesATroubledGatewayForTheJob, "no_answer_is_no_news"),
        (TakesA404ForAFailure, "a_job_that_the_vendor_does_not_know_is_expired"),
        (SaysTheModeAndNoAddress, "our_address_goes_with_the_submit_whole_and_in_every_mode"),
        (CutsTheAddressShort, "our_address_goes_with_the_submit_whole_and_in_every_mode"),
        (BelievesNoIdAtAll, "an_id_that_a_call_names_belongs_to_its_own_model_alone"),
        (FindsNoOutputs, "a_job_comes_to_its_end_with_all_its_outputs"),
        (TakesAnybodysAnswer, "an_answer_about_another_job_is_no_answer"),
        (TakesTheFirstId, "an_id_that_fits_two_readings_is_an_unknown_outcome"),
        (TakesEvery403ForTheKey, "a_403_is_read_for_what_it_is"),
        (TakesAStrayForAFailure, "a_refused_question_is_no_news_of_the_job"),
        (KnowsItsOwnWordsOnly, "the_words_of_the_field_are_known"),
        (TrustsTheShape, "whatever_shape_an_answer_has_it_is_read_or_refused"),
        (ForgetsAnEnd, "the_vendor_describes_itself"),
        (TrustsTheWord, "a_failed_job_is_failed_whatever_its_word"),
        (TellsNoReason, "a_failed_job_is_failed_whatever_its_word"),
        (LosesAField, "the_wire_form_holds_what_the_author_set"),
        (LosesTheExtraFields, "the_wire_form_holds_what_the_author_set"),
        (PutsExtraFieldsElsewhere, "the_wire_form_holds_what_the_author_set"),
        (ForgetsTheHeaders, "a_submit_returns_a_job_and_sends_the_key_home_only"),
        (TakesATransientErrorForAFailure, "a_result_that_is_not_there_yet_ends_nothing"),
        (TakesATransientErrorForSuccess, "a_result_that_is_not_there_yet_ends_nothing"),
        (GoesInClear, "the_vendor_describes_itself"),
        (GoesInClearElsewhere, "the_vendor_describes_itself"),
        (GoesInClear, "the_catalogue_finds_it_and_its_models"),
    ],
)
def test_a_vendor_that_breaks_a_rule_is_found(subject: Subject, vendor: Any, check: str) -> None:
    with pytest.raises(ConformanceError):
        BY_NAME[check](replace(subject, vendor=vendor))


FOUND = "a_lost_answer_is_found_by_what_was_sent_and_one_of_two_equal_ones_never"
FAL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"


@pytest.fixture
def fals(video_simulator: SimulatorHandle) -> Subject:  # noqa: F811  the fixture
    return subject_of(FAL, video_simulator)


class BelievesEveryCall(Fal):
    @classmethod
    def verify_callback(cls, headers: Any, body: bytes, keys: Any, now: Any) -> bool:
        return bool(headers and keys)


class BelievesOldCalls(Fal):
    @classmethod
    def verify_callback(cls, headers: Any, body: bytes, keys: Any, now: Any) -> bool:
        then = datetime.fromtimestamp(int(headers["x-fal-webhook-timestamp"]), UTC)
        return super().verify_callback(headers, body, keys, then)


class BelievesAnyUser(Fal):
    @classmethod
    def verify_callback(cls, headers: Any, body: bytes, keys: Any, now: Any) -> bool:
        return super().verify_callback({**headers, "x-fal-webhook-user-id": "simulated-user"}, body, keys, now)


class UploadsWhereTheAnswerSays(Fal):
    def upload(self, name: str, media_type: str, data: bytes) -> Any:
        asked = self.call("POST", "/storage/auth/token?storage_type=fal-cdn-v3", json={}, at="rest")
        body = (yield from self.send_read(asked)).body or {}
        headers = {"Authorization": f"{body.get('token_type')} {body.get('token')}"}
        call = httpx.Request("POST", f"{body.get('base_url')}/files/upload", headers=headers, content=data)
        call.extensions["keyless"] = True
        return self.uploaded((yield from self.send_read(call)), "access_url")


class SendsTheKeyToTheFileHost(Fal):
    def upload(self, name: str, media_type: str, data: bytes) -> Any:
        flow = super().upload(name, media_type, data)
        call = next(flow)
        while True:
            try:
                call.headers["X-Key"] = "conformance-0123456789abcdef"
                call = flow.send((yield call))
            except StopIteration as done:
                return done.value


class UploadsHalf(Fal):
    def upload(self, name: str, media_type: str, data: bytes) -> Any:
        return (yield from super().upload(name, media_type, data[:10]))


class TakesNoAddressForOne(Fal):
    def uploaded(self, answer: Any, path: str) -> str:
        return str((answer.body or {}).get(path))


class DropsOurAddress(Fal):
    def submit_call(self, request: Any, wire: Wire, callback: Any = None) -> Any:
        return super().submit_call(request, wire)


class LetsFalRunAJobAgain(Fal):
    def wire(self, request: Any, extra_fields: Any) -> Any:
        return super().wire(request, extra_fields)._replace(headers={})


class TakesCompletedForSuccess(Fal):
    def status(self, job: Any) -> Any:
        return self.read_job(job, (yield from self.send_read(self.status_call(job), job)))


class TakesEveryResultForOne(TakesCompletedForSuccess):
    def status(self, job: Any) -> Any:
        seen = yield from super().status(job)
        if seen.status is not JobStatus.SUCCEEDED:
            return seen
        answer = yield from self.send_read(self.call("GET", self._request(job)), job)
        outputs, instead = self.outputs_in(job, answer.body or {})
        return seen.replace(outputs=outputs, instead_of_outputs=instead)


class TakesA504ForAFailure(TakesCompletedForSuccess):
    def status(self, job: Any) -> Any:
        seen = yield from super().status(job)
        if seen.status is not JobStatus.SUCCEEDED:
            return seen
        answer = yield from self.send_read(self.call("GET", self._request(job)), job)
        ended = answer.status in (422, 504)
        return self._failed(job, JobStatus.FAILED, answer.body or {}) if ended else self._with_result(seen, answer)


class TakesTheWrongId(Fal):
    id_paths = ("gateway_request_id", "status")


class AsksTheAddressOfTheAnswer(Fal):
    address = ""

    def read_job(self, job: Any, answer: Any) -> Any:
        type(self).address = (answer.body or {}).get("response_url", "")
        return super().read_job(job, answer)

    def _request(self, job: Any) -> str:
        return self.address.removeprefix(self.url) or super()._request(job)

    def call(self, method: str, path: str, **more: Any) -> Any:
        if "://" in path:
            return httpx.Request(method, path)
        return super().call(method, path, **more)


class ShowsAnotherId(Fal):
    def history(self, model: str, since: Any, until: Any) -> Any:
        shown = yield from super().history(model, since, until)
        return [one._replace(request_id="another") for one in shown]


class ShowsHalfABody(Fal):
    def history(self, model: str, since: Any, until: Any) -> Any:
        shown = yield from super().history(model, since, until)
        return [one._replace(body={"input": one.body}) for one in shown]


class CancelsWithoutAsking(Fal):
    def cancel(self, job: Any) -> Any:
        yield from self.send_read(self.cancel_call(job), job)
        return (yield from self.status(job))


class CallsACancelledJobFree(Fal):
    def cancel(self, job: Any) -> Any:
        return (yield from super().cancel(job)).replace(charged="no")


class ShowsTheFirstOfEqualJobs(Fal):
    def history(self, model: str, since: Any, until: Any) -> Any:
        shown = yield from super().history(model, since, until)
        return [one for number, one in enumerate(shown) if one.body not in [other.body for other in shown[:number]]]


class ShowsTheNewestAlone(Fal):
    def history(self, model: str, since: Any, until: Any) -> Any:
        shown = yield from super().history(model, since, until)
        return shown[:1]


class ShowsTheCallbackToo(Fal):
    def history(self, model: str, since: Any, until: Any) -> Any:
        shown = yield from super().history(model, since, until)
        return [one._replace(body={**one.body, "fal_webhook": "https://receiver.example/"}) for one in shown]


class TakesTroubleForNothing(Fal):
    def history(self, model: str, since: Any, until: Any) -> Any:
        try:
            return (yield from super().history(model, since, until))
        except VendorError:
            return []


@pytest.mark.parametrize(
    ("vendor", "check"),
    [
        (BelievesEveryCall, "a_signed_call_is_believed_as_it_came_and_in_no_other_way"),
        (BelievesOldCalls, "a_signed_call_is_believed_as_it_came_and_in_no_other_way"),
        (BelievesAnyUser, "a_signed_call_is_believed_as_it_came_and_in_no_other_way"),
        (DropsOurAddress, "a_signed_call_is_believed_as_it_came_and_in_no_other_way"),
        (DropsOurAddress, "our_address_goes_with_the_submit_whole_and_in_every_mode"),
        (LetsFalRunAJobAgain, "a_submit_returns_a_job_and_sends_the_key_home_only"),
        (UploadsWhereTheAnswerSays, "an_upload_is_whole_and_calls_no_address_of_an_answer"),
        (SendsTheKeyToTheFileHost, "an_upload_is_whole_and_calls_no_address_of_an_answer"),
        (UploadsHalf, "an_upload_is_whole_and_calls_no_address_of_an_answer"),
        (TakesNoAddressForOne, "an_upload_is_whole_and_calls_no_address_of_an_answer"),
        (ShowsAnotherId, "what_the_history_shows_is_what_was_sent"),
        (ShowsHalfABody, "what_the_history_shows_is_what_was_sent"),
        (ShowsAnotherId, FOUND),
        (ShowsHalfABody, FOUND),
        (ShowsTheCallbackToo, FOUND),
        (ShowsTheNewestAlone, FOUND),
        (ShowsTheFirstOfEqualJobs, FOUND),
        (CancelsWithoutAsking, "a_cancel_asks_first_and_leaves_alone_what_has_ended"),
        (CallsACancelledJobFree, "a_cancel_asks_first_and_leaves_alone_what_has_ended"),
        (TakesTroubleForNothing, "what_the_history_shows_is_what_was_sent"),
        (ShowsTheFirstOfEqualJobs, "what_the_history_shows_is_what_was_sent"),
        (TakesCompletedForSuccess, "a_failed_job_is_failed_whatever_its_word"),
        (TakesCompletedForSuccess, "a_job_comes_to_its_end_with_all_its_outputs"),
        (TakesEveryResultForOne, "a_failed_job_is_failed_whatever_its_word"),
        (TakesEveryResultForOne, "a_result_that_is_not_there_yet_ends_nothing"),
        (TakesA504ForAFailure, "a_result_that_is_not_there_yet_ends_nothing"),
        (TakesTheWrongId, "a_job_comes_to_its_end_with_all_its_outputs"),
        (AsksTheAddressOfTheAnswer, "no_address_from_an_answer_is_called"),
    ],
)
def test_a_fal_that_breaks_a_rule_is_found(fals: Subject, vendor: Any, check: str) -> None:
    BY_NAME[check](fals)
    with pytest.raises(ConformanceError):
        BY_NAME[check](replace(fals, vendor=vendor))


MAGICA = "replicate:studio/magica"


@pytest.fixture
def replicates(video_simulator: SimulatorHandle) -> Subject:  # noqa: F811  the fixture
    return subject_of(MAGICA, video_simulator)


class TrustsReplicatesWord(Replicate):
    words = {"failed": JobStatus.SUCCEEDED}


class TakesReplicatesVersionForTheId(Replicate):
    id_paths = ("version",)


class TakesAnyPredictionsAnswer(Replicate):
    id_paths = ()


class AsksReplicatesAddress(Replicate):
    address = ""

    def _bought(self, request: Any, sent_at: Any, answer: Any) -> Any:
        type(self).address = (answer.body or {}).get("urls", {}).get("get", "")
        return super()._bought(request, sent_at, answer)

    def status_call(self, job: Any) -> Any:
        return httpx.Request("GET", self.address)


class CancelsAPredictionWithoutAsking(Replicate):
    def cancel(self, job: Any) -> Any:
        yield from self.send_read(self.cancel_call(job), job)
        return (yield from self.status(job))


class ShowsTheFirstOfEqualPredictions(Replicate):
    def history(self, model: str, since: Any, until: Any) -> Any:
        return (yield from super().history(model, since, until))[:1]


class ShowsThePredictionsInputAlone(Replicate):
    def history(self, model: str, since: Any, until: Any) -> Any:
        shown = yield from super().history(model, since, until)
        return [one._replace(body=one.body["input"]) for one in shown]


@pytest.mark.parametrize(
    ("vendor", "check"),
    [
        (TrustsReplicatesWord, "a_failed_job_is_failed_whatever_its_word"),
        (TakesReplicatesVersionForTheId, "a_job_comes_to_its_end_with_all_its_outputs"),
        (TakesAnyPredictionsAnswer, "an_answer_about_another_job_is_no_answer"),
        (AsksReplicatesAddress, "no_address_from_an_answer_is_called"),
        (CancelsAPredictionWithoutAsking, "a_cancel_asks_first_and_leaves_alone_what_has_ended"),
        (ShowsTheFirstOfEqualPredictions, "what_the_history_shows_is_what_was_sent"),
        (ShowsThePredictionsInputAlone, "what_the_history_shows_is_what_was_sent"),
    ],
)
def test_a_replicate_that_breaks_a_rule_is_found(replicates: Subject, vendor: Any, check: str) -> None:
    BY_NAME[check](replicates)
    with pytest.raises(ConformanceError):
        BY_NAME[check](replace(replicates, vendor=vendor))


def test_a_vendor_that_calls_an_address_from_an_answer_is_found(subject: Subject) -> None:
    with pytest.raises(ConformanceError):  # the client itself refuses to sign such a request
        BY_NAME["no_address_from_an_answer_is_called"](replace(subject, vendor=FollowsThePollingAddress))


def test_a_word_that_means_something_else_is_found(subject: Subject) -> None:
    with pytest.raises(ConformanceError, match="'QUEUED' means running"):
        BY_NAME["the_documented_words_mean_what_the_documents_say"](
            replace(subject, words={**subject.words, "QUEUED": JobStatus.RUNNING})
        )


def test_a_stand_in_that_never_finishes_is_found(subject: Subject) -> None:
    with pytest.raises(ConformanceError, match=r"After finish\(\)"):
        BY_NAME["a_job_comes_to_its_end_with_all_its_outputs"](replace(subject, finish=lambda: None))


@pytest.fixture
def model() -> Iterator[Any]:
    """Makes models of Pixazo's that exist for one test."""
    catalogue.models()
    before = dict(VideoModel.registry)

    def make(**body: Any) -> type[VideoModel]:
        return type("Odd", (VideoModel,), {"id": "pixazo:odd", "path": "/odd", "__module__": __name__, **body})

    yield make
    VideoModel.registry.clear()
    VideoModel.registry.update(before)


@pytest.mark.parametrize(
    ("body", "check"),
    [
        ({"__annotations__": {"seed": int | None}, "seed": None}, "every_model_describes_its_fields"),
        ({"path": "https://elsewhere.example/odd"}, "every_model_describes_its_fields"),
        ({"id": "pixazo:Odd One"}, "every_model_describes_its_fields"),
        ({"text_on_the_wire": frozenset({"length"})}, "every_model_describes_its_fields"),
        ({"prices": (Price(Decimal(0), "second", "documented"),)}, "every_price_has_a_basis"),
        ({"prices": (Price(Decimal(1), "second", " "),)}, "every_price_has_a_basis"),
        ({"prices": (Price(Decimal(1), "second", "documented", {"size": "big"}),)}, "every_price_has_a_basis"),
    ],
)
def test_a_model_that_says_too_little_is_found(subject: Subject, model: Any, body: Any, check: str) -> None:
    model(**body)
    with pytest.raises(ConformanceError, match="pixazo:"):
        BY_NAME[check](subject)
