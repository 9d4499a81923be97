"""What the suite finds about the files of a finished job, its bill and the key: each of these breaks one rule of Lanterna's."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.core.jobs import OutputRole
from airflow_video_providers.core.landing import follow
from airflow_video_providers.core.vendors.base import Vendor
from airflow_video_providers.testing.conformance import CHECKS, ConformanceError, Subject
from tests.testing.conformance.test_fourth_vendor import installed, simulator, subject  # noqa: F401  the fixtures

if TYPE_CHECKING:
    from collections.abc import Callable

BY_NAME = {check.__name__: check for check in CHECKS}


def asks_the_address_of_the_answer(vendor: Any) -> Any:
    class Mutant(vendor):  # type: ignore[misc]
        """The key would go wherever the answer says."""

        named: dict[str, list[str]] = {}

        def read_job(self, job: Any, answer: Any) -> Any:
            seen = super().read_job(job, answer)
            files = [*((answer.body or {}).get("files") or ()), *filter(None, [(answer.body or {}).get("last_frame")])]
            type(self).named[job.request_id] = [file["url"] for file in files]
            return seen

        def output_call(self, job: Any, index: int) -> Any:
            named = self.named.get(job.request_id) or ()
            return httpx.Request("GET", named[index]) if index < len(named) else super().output_call(job, index)

    return Mutant


def fetches_without_the_key(vendor: Any) -> Any:
    return type("Mutant", (vendor,), {"output_call": Vendor.output_call})


def takes_the_last_frame_for_a_video(vendor: Any) -> Any:
    class Mutant(vendor):  # type: ignore[misc]
        further_outputs: dict[OutputRole, tuple[str, ...]] = {}

        def outputs_in(self, job: Any, body: Any) -> Any:
            last = body.get("last_frame")
            return super().outputs_in(job, {**body, "files": [*body.get("files", ()), *([last] if last else ())]})

    return Mutant


def with_(**facts: Any) -> Callable[[Any], Any]:
    return lambda vendor: type("Mutant", (vendor,), facts)


def in_cents(vendor: Any) -> Any:
    class Mutant(vendor):  # type: ignore[misc]
        def cost_in(self, body: Any) -> Any:
            found = super().cost_in(body)
            return None if found is None else found * 100

    return Mutant


ROLES = "files_have_the_role_and_the_type_that_the_vendor_says"
BESIDE = "what_an_answer_says_beside_the_state_is_read"
LANDS = "every_file_of_a_finished_job_lands"
KEY = "the_key_goes_home_only_when_a_file_is_fetched"


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (asks_the_address_of_the_answer, KEY),
        (fetches_without_the_key, LANDS),
        (takes_the_last_frame_for_a_video, ROLES),
        (takes_the_last_frame_for_a_video, LANDS),
        (with_(further_outputs={}), ROLES),
        (with_(further_outputs={OutputRole.POSTER: ("last_frame",)}), ROLES),
        (with_(media_type_names=()), ROLES),
        (with_(media_type_names=(), media_type_paths=("last_frame.type",)), ROLES),
        (with_(submitted_paths=("ended",), completed_paths=("made_at",)), BESIDE),
        (with_(submitted_paths=("share",)), BESIDE),
        (with_(progress_paths=()), BESIDE),
        (with_(cost_paths=("bill.eur",)), BESIDE),
        (with_(cost_paths=()), BESIDE),
        (in_cents, BESIDE),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", ""),
)
def test_a_lanterna_that_breaks_a_rule_is_found(subject: Subject, broken: Any, check: str) -> None:  # noqa: F811
    with pytest.raises(ConformanceError):
        BY_NAME[check](replace(subject, vendor=broken(subject.vendor)))


def test_a_download_that_sends_the_key_on_to_where_a_redirect_leads_is_found(
    subject: Subject,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    BY_NAME[KEY](subject)
    monkeypatch.setattr(follow, "behind_a_redirect", lambda once: once)
    with pytest.raises(ConformanceError, match="where a redirect led"):
        BY_NAME[KEY](subject)


def test_a_stand_in_that_says_another_bill_is_found(subject: Subject) -> None:  # noqa: F811
    with pytest.raises(ConformanceError, match=r"0\.20"):
        BY_NAME[BESIDE](replace(subject, cost=Decimal("0.21")))
