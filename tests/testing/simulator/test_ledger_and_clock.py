"""What was bought and charged, the wallet's arithmetic, and the clock."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx
import pytest

from airflow_video_providers.testing.simulator import Options, SimulatorHandle, running
from airflow_video_providers.testing.simulator.clock import Clock
from airflow_video_providers.testing.simulator.jobs import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .conftest import Desk


def test_each_accepted_submit_is_a_row_and_each_success_one_charge(desk: Desk) -> None:
    ids = [desk.buy("pixazo", f"fox {number}") for number in range(5)]
    assert desk.simulator.ledger()["charges"] == 0
    desk.finish()
    ledger = desk.simulator.ledger()
    assert (ledger["accepted"], ledger["charges"]) == (5, 5)
    assert [row["request_id"] for row in ledger["jobs"]] == ids
    assert ledger["charged"] == {"pixazo": 1.5, "appypie": 0.0, "segmind": 0.0, "fal": 0.0, "replicate": 0.0}
    assert ledger["credits"] == {
        "pixazo": 998.5,
        "appypie": 1000.0,
        "segmind": 1000.0,
        "fal": 1000.0,
        "replicate": 1000.0,
    }
    assert ledger["duplicates"] == []


def test_a_row_shows_prompt_state_times_price_and_polls_but_no_key(desk: Desk) -> None:
    request_id = desk.buy("appypie", "a red fox")
    desk.status("appypie", request_id)
    desk.finish()
    (row,) = desk.simulator.ledger()["jobs"]
    assert (row["state"], row["charged"], row["price_basis"], row["polls"]) == ("COMPLETED", 0.3, "invented", 1)
    assert row["finished_at"] > row["submitted_at"]
    assert row["prompt"] == "a red fox"
    assert "simulated" not in str(row)


def test_every_paid_call_that_arrives_is_counted_whatever_comes_of_it(desk: Desk) -> None:
    desk.buy("segmind")
    desk.submit("pixazo", body={"prompt": 1})
    desk.submit("appypie", "[[fault:http_503]] a fox")
    with pytest.raises(httpx.TransportError):
        desk.submit("pixazo", "[[fault:drop_before_read]] a fox")
    desk.submit("pixazo", key="bad one")  # nobody's: it is no paid call
    ledger = desk.simulator.ledger()
    assert (ledger["submits"], ledger["accepted"]) == (4, 1)


@pytest.mark.parametrize(
    ("vendor", "fault", "charges"),
    [
        ("pixazo", "job_error", 0),
        ("pixazo", "job_failed", 1),
        ("appypie", "job_error", 0),
        ("appypie", "job_failed", 1),
        ("segmind", "job_error", 0),
        ("segmind", "job_failed", 0),
    ],
)
def test_who_charges_for_what_went_wrong(desk: Desk, vendor: str, fault: str, charges: int) -> None:
    desk.buy(vendor, f"[[fault:{fault}]] a fox")
    desk.finish()
    assert desk.simulator.ledger()["charges"] == charges


def test_failed_jobs_can_be_free_everywhere(desk: Desk) -> None:
    desk.simulator.configure(charge_failed=False)
    desk.buy("pixazo", "[[fault:job_failed]] a fox")
    desk.finish()
    assert desk.simulator.ledger()["charges"] == 0


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({}, "0.225"),
        ({"resolution": "1080p", "duration": 10}, "0.90"),
        ({"generate_audio_switch": True}, "0.30"),
        ({"resolution": "360p", "duration": 1, "generate_audio_switch": True}, "0.035"),
    ],
)
def test_the_documented_prices_of_v6_image_to_video(desk: Desk, fields: dict[str, Any], price: str) -> None:
    path = "/pixverse-v6-image-to-video/v1/pixverse-v6-image-to-video-request"
    desk.buy("pixazo", path=path, body={"prompt": "a fox", "image_url": "https://x.example/fox.png"} | fields)
    desk.finish()
    (row,) = desk.simulator.ledger()["jobs"]
    assert Decimal(str(row["charged"])) == Decimal(price)
    assert row["price_basis"].startswith("documented")


def test_480p_which_no_document_prices_has_an_invented_price(desk: Desk) -> None:
    path = "/pixverse-v6-image-to-video/v1/pixverse-v6-image-to-video-request"
    desk.buy(
        "pixazo", path=path, body={"prompt": "a fox", "image_url": "https://x.example/f.png", "resolution": "480p"}
    )
    desk.finish()
    (row,) = desk.simulator.ledger()["jobs"]
    assert row["price_basis"] == "invented"


def test_mochi_costs_what_its_page_says(desk: Desk) -> None:
    desk.buy("pixazo", path="/mochi-v1-clone/generate")
    desk.finish()
    assert desk.simulator.ledger()["charged"]["pixazo"] == 0.4


def test_the_same_body_from_the_same_key_is_a_duplicate_in_any_order_of_fields(desk: Desk) -> None:
    twins = [
        desk.buy("pixazo", body={"prompt": "a fox", "seed": 1}),
        desk.buy("pixazo", body={"seed": 1, "prompt": "a fox"}),
    ]
    desk.buy("pixazo", body={"prompt": "a fox", "seed": 2})
    desk.buy("pixazo", body={"prompt": "a fox", "seed": 1}, key="another key")
    (found,) = desk.simulator.ledger()["duplicates"]
    assert (found["vendor"], found["request_ids"]) == ("pixazo", twins)


def test_jobs_that_run_are_reserved_so_that_a_wallet_never_goes_below_zero(desk: Desk) -> None:
    desk.simulator.configure(credits=1.0)
    answers = [desk.submit("pixazo", f"fox {number}").status_code for number in range(5)]
    assert answers == [202, 202, 202, 402, 402]
    desk.finish()
    assert desk.simulator.ledger()["credits"]["pixazo"] == pytest.approx(0.1)


def test_a_failure_at_segmind_gives_its_reservation_back(desk: Desk) -> None:
    desk.simulator.configure(credits=0.3)
    desk.buy("segmind", "[[fault:job_failed]] a fox")
    assert desk.submit("segmind").status_code == 200
    assert desk.submit("segmind").status_code == 406


def test_a_lost_answer_and_a_second_try_are_two_charges(desk: Desk) -> None:
    prompt = "[[fault:drop_after_accept]] a fox"
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            desk.submit("pixazo", prompt)
    desk.finish()
    ledger = desk.simulator.ledger()
    assert ledger["charges"] == 2
    assert len(ledger["duplicates"]) == 1


def test_times_repeat_with_the_seed_and_stay_in_the_profile() -> None:
    def times(seed: int, **options: Any) -> list[tuple[float, float]]:
        settings = Options(seed=seed, **options)
        store = Store(settings)
        found = []
        for number in range(50):
            store.order = [None] * number  # type: ignore[list-item]  # only the count is read
            found.append(store.latency(settings.latency(mochi=bool(number % 2))))
        return found

    assert times(1) == times(1) != times(2)
    assert all(0.1 <= queue <= 1 and 0.5 <= run <= 3 for queue, run in times(1))
    real = times(1, profile="real")
    assert all(5 <= queue <= 60 for queue, _ in real)
    assert all(170 <= run <= 190 for _, run in real[1::2])
    assert all(30 <= run <= 120 for _, run in real[::2])
    assert set(times(1, queue_seconds=(2, 2), run_seconds=(3, 3))) == {(2.0, 3.0)}


def test_a_frozen_clock_only_moves_when_it_is_pushed() -> None:
    clock = Clock(frozen=True)
    before = clock.now()
    assert clock.now() == before
    clock.advance(3600)
    assert clock.now() == before + 3600
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    clock.freeze(False)
    assert clock.now() >= before + 3600


async def test_a_push_wakes_those_who_wait_for_the_time() -> None:
    clock = Clock()
    waiting = asyncio.create_task(clock.sleep_until(clock.now() + 3600))
    await asyncio.sleep(0)
    clock.advance(3599)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(2)
    await asyncio.wait_for(waiting, 60)


@pytest.mark.slow
def test_a_running_clock_finishes_a_job_by_itself(
    eventually: Callable[[Callable[[], Any]], Any], http: httpx.Client
) -> None:
    with running(queue_seconds=(0.05, 0.05), run_seconds=(0.05, 0.05)) as simulator:
        headers = {"x-api-key": "SG_1"}
        job = http.post(simulator.base_url("segmind") + "/v2/mochi-1", json={"prompt": "a fox"}, headers=headers).json()
        assert eventually(lambda: http.get(job["status_url"], headers=headers).json()["status"] == "COMPLETED")


def test_the_limit_of_requests_is_per_key_and_vendor_and_counts_polls(desk: Desk) -> None:
    desk.simulator.configure(rpm=2)
    request_id = desk.buy("pixazo")
    desk.status("pixazo", request_id)
    assert desk.status("pixazo", request_id).status_code == 429
    assert desk.status("pixazo", request_id, key="another").status_code == 200
    assert desk.submit("appypie").status_code == 200
    desk.simulator.advance(61)
    assert desk.status("pixazo", request_id).status_code == 200


@pytest.mark.slow
def test_two_simulators_in_one_process_know_nothing_of_each_other(http: httpx.Client) -> None:
    def buy(simulator: SimulatorHandle) -> None:
        url = simulator.base_url("segmind") + "/v2/mochi-1"
        http.post(url, json={"prompt": "a fox"}, headers={"x-api-key": "SG_1"}).raise_for_status()

    with running() as one, running() as two:
        buy(one)
        assert (one.ledger()["accepted"], two.ledger()["accepted"]) == (1, 0)
