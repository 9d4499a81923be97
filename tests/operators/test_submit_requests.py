"""What goes over the wire: typed requests, Jinja in them, unset fields, mapped tasks."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.vendors.pixazo import MochiV1, PixverseV6TextToVideo
from airflow_video_providers.operators.video import SubmitVideoOperator
from tests.support.submitting import V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]


@pytest.fixture
def desk(video_simulator):
    return Desk(video_simulator)


def test_a_dict_goes_over_the_wire_with_what_was_set_and_nothing_else(desk):
    desk.run(desk.submit(V6, {"prompt": "a fox", "duration": 5, "seed": None}))
    assert desk.bodies() == [{"prompt": "a fox", "duration": 5}]


def test_templated_numbers_arrive_as_numbers(desk):
    desk.run(desk.submit(V6, {"prompt": "a fox on {{ ds }}", "duration": "{{ 2 + 3 }}", "seed": "{{ 7 }}"}))
    assert desk.bodies() == [{"prompt": "a fox on 2026-01-01", "duration": 5, "seed": 7}]


def test_a_typed_request_is_rendered_in_its_text_fields(desk):
    desk.run(desk.submit(V6, PixverseV6TextToVideo(prompt="a fox on {{ ds }}", duration=5)))
    assert desk.bodies() == [{"prompt": "a fox on 2026-01-01", "duration": 5}]


def test_a_typed_request_that_two_tasks_share_is_not_changed_by_rendering(desk):
    shared = PixverseV6TextToVideo(prompt="{{ ti.task_id }}")
    first, second = (desk.submit(V6, shared, task_id=name) for name in ("first", "second"))
    desk.run(first)
    desk.airflow.store.clear()  # Airflow scopes it to the task
    desk.run(second)
    assert [body["prompt"] for body in desk.bodies()] == ["first", "second"]
    assert shared.prompt == "{{ ti.task_id }}"


def test_a_dict_that_two_tasks_share_is_not_changed_by_rendering(desk):
    shared = {"prompt": "{{ ti.task_id }}"}
    desk.run(desk.submit(V6, shared, task_id="first"))
    assert shared == {"prompt": "{{ ti.task_id }}"}


def test_what_another_task_pushed_can_be_the_request(desk):
    desk.airflow.xcoms["write", "return_value", -1] = {"prompt": "a fox from XCom", "duration": 5}
    with DAG("dag", schedule=None):
        write = SubmitVideoOperator(task_id="write", model=V6, request={"prompt": "-"})
        task = SubmitVideoOperator(task_id="submit", model=V6, request=write.output)
    assert desk.run(task).state == "success"
    assert desk.bodies() == [{"prompt": "a fox from XCom", "duration": 5}]


def test_a_task_before_it_that_pushed_nothing_is_told_as_such(desk):
    desk.airflow.xcoms["write", "return_value", -1] = None
    with DAG("dag", schedule=None):
        write = SubmitVideoOperator(task_id="write", model=V6, request={"prompt": "-"})
        task = SubmitVideoOperator(task_id="submit", model=V6, request=write.output)
    outcome = desk.run(task, retries=2)
    assert outcome.state == "failed"
    assert "the request and the request_id are empty after rendering" in str(outcome.error)


def test_extra_fields_are_sent_as_they_are_and_templated(desk):
    desk.simulator.configure(unknown_fields="ignore")
    desk.run(desk.submit(extra_fields={"brand_new": "{{ ds }}"}))
    assert desk.bodies() == [{"prompt": "a fox", "brand_new": "2026-01-01"}]


def test_model_and_connection_are_templated(desk):
    desk.airflow.connections["other"] = desk.airflow.connections["pixazo_default"]
    desk.run(desk.submit("{{ 'pixazo:' ~ 'mochi-v1' }}", {"prompt": "a fox"}, conn_id="{{ 'other' }}"))
    assert desk.airflow.xcom("submit")["model"] == "pixazo:mochi-v1"
    assert desk.airflow.xcom("submit")["conn_id"] == "other"


def mapped(**requests):
    with DAG("dag", schedule=None):
        return SubmitVideoOperator.partial(task_id="submit", model=V6).expand(**requests)


def test_each_mapped_task_buys_for_itself_once(desk, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path))
    task = mapped(request=[{"prompt": "one"}, {"prompt": "two"}])
    for try_number in (1, 2, 3):
        for map_index in (0, 1):
            outcome = desk.run(task, map_index=map_index, try_number=try_number, retries=3)
            assert outcome.state == "success"
    assert [body["prompt"] for body in desk.bodies()] == ["one", "two"]
    jobs = [desk.airflow.xcom("submit", map_index=index)["request_id"] for index in (0, 1)]
    assert len(set(jobs)) == 2


def test_one_bad_request_of_a_mapped_task_fails_alone(desk, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path))
    task = mapped(request=[{"prompt": "one"}, {"prompt": "two", "duration": 99}])
    assert desk.run(task, map_index=0).state == "success"
    outcome = desk.run(task, map_index=1, retries=2)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")
    assert len(desk.bodies()) == 1


def test_a_mapped_typed_request_of_another_model_buys_nothing(desk):
    outcome = desk.run(mapped(request=[MochiV1(prompt="a fox")]), map_index=0)
    assert "Name the same model in both" in str(outcome.error)
    assert desk.bodies() == []
