"""In a process of its own: a real API server's app over a throw-away home, asked as somebody who may read one DAG of two.

Prints what it was answered, as JSON behind ``TOLD``.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from airflow.api_fastapi.app import create_app
from airflow.models.dag import DagModel  # noqa: TID251 - rows for the app to find
from airflow.models.dagbundle import DagBundleModel  # noqa: TID251
from airflow.models.dagrun import DagRun  # noqa: TID251
from airflow.models.log import Log  # noqa: TID251
from airflow.models.taskinstance import TaskInstance  # noqa: TID251
from airflow.models.xcom import XComModel  # noqa: TID251
from airflow.utils.session import create_session
from fastapi.testclient import TestClient
from sqlalchemy import insert, select

from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.intent import Intent
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.plugin.console import feeds
from airflow_video_providers.plugin.console.feeds import DirectoryFeed
from tests.plugin.one_dag_auth import OWN

FOREIGN = "foreign"
FAL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"
OTHER_RUN = "manual__2026-05-05T00:00:00+00:00"
#: What names a model and a job as a landing's does, and else what no landing says.
ODD_MANIFEST = {
    "manifest_uri": "s3://models/1/manifest.json", "model": "pixazo:mochi-v1", "request_id": "j", "completed_at": "9999-12-31T23:59:59-14:00",
    "estimated_cost_usd": "1e1000", "outputs": [
        {"index": 0, "key": "k", "uri": "s3://b/k", "path": "s3://b/k", "content_type": "video/mp4", "bytes": 10**400, "duration_s": 10**400, "sha256": "x"},
    ],
}  # fmt: skip
RUN = "manual__2026-05-04T00:00:00+00:00"


def buy(
    ledger: Ledger, dag_id: str, task_id: str, *, bought: bool = False, landed: bool = False, left: float = 0
) -> None:
    """A purchase whose answer was lost; or ``bought``, and kept for ``left`` minutes more; or ``landed``."""
    who = Identity(dag_id, RUN, task_id)
    intent = Attempt(
        **vars(who), number=1, purchase=1, state=AttemptState.INTENT, claim="c", model="pixazo:mochi-v1", conn_id="pixazo_default",
        created_at=datetime.now(UTC) - timedelta(hours=3), estimated_cost_usd=Decimal("0.40"),
    )  # fmt: skip
    ledger.create(intent)
    if bought or landed:
        expires = datetime.now(UTC) + timedelta(minutes=left) if left else None
        job = VideoJob(
            model=intent.model, request_id=f"job-of-{dag_id}{'' if landed else f'-{task_id}'}", expires_at=expires
        )
        ledger.replace(intent.bought(job))
        if landed:
            ledger.mark_landed(job.replace(cost_usd=Decimal("0.25")), "s3://bucket/manifest.json")


def refuse(ledger: Ledger, dag_id: str, conn_id: str) -> None:
    """A purchase that an empty account ended."""
    who = Identity(dag_id, RUN, "refused")
    intent = Attempt(
        **vars(who), number=1, purchase=1, state=AttemptState.INTENT, claim="c", model="segmind:mochi-1", conn_id=conn_id,
        created_at=datetime.now(UTC) - timedelta(hours=2), estimated_cost_usd=Decimal("0.40"),
    )  # fmt: skip
    ledger.create(intent)
    ledger.replace(intent.replace(state=AttemptState.REJECTED, reason="InsufficientCreditsError"))


def main() -> None:
    folder = Path(os.environ["AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH"])
    ledger = Ledger(LocalDirectory(folder))
    for dag_id in (OWN, FOREIGN):
        buy(ledger, dag_id, "landed", landed=True)
        buy(ledger, dag_id, "lost")
        buy(ledger, dag_id, "unlanded", bought=True)
        buy(ledger, dag_id, "soon", bought=True, left=20)
        refuse(ledger, dag_id, f"account_of_{dag_id}")
    with create_session() as session:
        session.add(DagBundleModel(name="tests"))
        session.flush()
        session.add_all(DagModel(dag_id=dag_id, bundle_name="tests", fileloc="x") for dag_id in (OWN, FOREIGN))
    client = TestClient(create_app(), base_url="http://localhost")
    query = f"run_id={RUN}&task_id=lost&map_index={{MAP_INDEX}}"
    told = {
        "nobody": client.get("/video/videos").status_code,
        "plugins": [
            plugin["name"] for plugin in client.get("/api/v2/plugins", headers=_login(client)).json()["plugins"]
        ],
    }
    headers = _login(client)
    asked = {
        "videos": "videos", "found": "videos?request_id=job-of", "task": f"task?dag_id={OWN}&{query}",
        "foreign_task": f"task?dag_id={FOREIGN}&{query}", "foreign_run": f"run?dag_id={FOREIGN}&run_id={RUN}",
        "foreign_clip": f"clip?dag_id={FOREIGN}&{query}&output=0", "run": f"run?dag_id={OWN}&run_id={RUN}",
        "clip": f"clip?dag_id={OWN}&{query}&output=0", "css": "static/console.css", "no_dag": "task?dag_id=~&run_id=x&task_id=y",
    }  # fmt: skip
    feeds.SLICE = 3 * feeds.RECORD
    told["half"] = (
        client.get("/video/videos", headers=headers).text,
        client.get(f"/video/{asked['run']}", headers=headers).text,
    )
    feeds.SLICE = 1_000_000
    while "Reading the ledger" in client.get("/video/videos", headers=headers).text:
        time.sleep(0.1)
    answers = {name: client.get(f"/video/{path}", headers=headers) for name, path in asked.items()}
    told |= {name: [answer.status_code, answer.text] for name, answer in answers.items()}
    token = re.findall(r'name="token" value="([^"]+)"', answers["videos"].text)[0]
    for dag_id in (OWN, FOREIGN):
        form = {"token": token, "action": "forget", "who": json.dumps([dag_id, RUN, "lost", -1])}
        told[f"forget_{dag_id}"] = client.post("/video/videos", data=form, headers=headers).text
        told[f"state_{dag_id}"] = ledger.attempts(Identity(dag_id, RUN, "lost"))[0].state
    _push(OTHER_RUN, "train", {"manifest_uri": "s3://models/1/manifest.json", "model": {"name": "resnet50"}})
    _push(OTHER_RUN, "odd", ODD_MANIFEST)
    for name, path in {
        "other_run": f"run?dag_id={OWN}&run_id={OTHER_RUN}",
        "train": f"task?dag_id={OWN}&run_id={OTHER_RUN}&task_id=train",
        "odd": f"task?dag_id={OWN}&run_id={OTHER_RUN}&task_id=odd",
        "odd_clip": f"clip?dag_id={OWN}&run_id={OTHER_RUN}&task_id=odd&output=0",
    }.items():
        answer = client.get(f"/video/{path}", headers=headers)
        told[name] = [answer.status_code, answer.text]
    told["find"] = _find(client, headers, ledger)
    os.rename(folder, f"{folder}-away")
    time.sleep(DirectoryFeed.fresh_for + 0.1)
    told["away"] = [client.get(f"/video/{asked[name]}", headers=headers).text for name in ("videos", "task", "run")]
    sys.stdout.write(f"\nTOLD {json.dumps(told)}\n")


def _push(run_id: str, task_id: str, value: object) -> None:
    """A task of somebody's own, as Airflow keeps it, and what it has returned."""
    now = datetime.now(UTC)
    with create_session() as session:
        run = session.scalar(select(DagRun.id).where(DagRun.run_id == run_id))
        if run is None:
            session.execute(
                insert(DagRun).values(dag_id=OWN, run_id=run_id, run_type="manual", run_after=now, state="success")
            )
            run = session.scalar(select(DagRun.id).where(DagRun.run_id == run_id))
        named = {"dag_id": OWN, "run_id": run_id, "task_id": task_id, "map_index": -1}
        session.execute(
            insert(TaskInstance).values(
                **named, pool="default_pool", pool_slots=1, state="success", operator="_PythonDecoratedOperator",
            )
        )  # fmt: skip
        session.execute(insert(XComModel).values(**named, dag_run_id=run, key="return_value", value=json.dumps(value)))


def _find(client: TestClient, headers: dict[str, str], ledger: Ledger) -> dict[str, object]:
    """Submits whose answers were lost, of which the vendor's history shows all but one; and what the page makes of them."""
    hook = VideoHook.for_model(FAL)
    bought = {}
    for dag_id, task_id in ((OWN, "a"), (OWN, "b"), (OWN, "never_sent"), (FOREIGN, "a")):
        who, request = Identity(dag_id, RUN, task_id), {"prompt": f"{task_id} of {dag_id}"}
        intent = Intent.of(model=FAL, request=request, conn_id="fal_default")
        ledger.create(
            Attempt(
                **vars(who), number=1, purchase=1, state=AttemptState.UNKNOWN, claim=task_id, created_at=datetime.now(UTC),
                **vars(intent),
            )
        )  # fmt: skip
        if task_id != "never_sent":
            bought[dag_id, task_id] = hook.submit(catalogue.find(FAL, unchecked=True)(**request)).request_id
    hook.close()
    time.sleep(DirectoryFeed.fresh_for + 0.1)
    page = client.get("/video/videos", headers=headers).text
    named = [
        json.dumps([dag_id, RUN, task_id, -1])
        for dag_id, task_id in (*bought, (OWN, "never_sent"), (OWN, "pixazo"), (OWN, "lost"))
    ]
    buy(ledger, OWN, "pixazo")
    form = {"token": re.findall(r'name="token" value="([^"]+)"', page)[0], "action": "find", "who": named}
    answer = client.post("/video/videos", data=form, headers=headers)
    stored = {
        f"{dag_id}.{task_id}": [
            one.request_id == bought.get((dag_id, task_id))
            for one in ledger.attempts(Identity(dag_id, RUN, task_id))
            if not one.open
        ]
        for dag_id, task_id in (*bought, (OWN, "never_sent"), (OWN, "pixazo"))
    }
    with create_session() as session:
        logged = [
            [one.dag_id, one.task_id, one.owner] for one in session.query(Log).filter(Log.event == "video_find").all()
        ]
    return {
        "page": page, "answer": answer.text, "stored": stored, "logged": sorted(logged), "bought": list(bought.values()),
    }  # fmt: skip


def _login(client: TestClient) -> dict[str, str]:
    answer = client.post("/auth/token", json={"username": "edith", "password": os.environ["EDITHS_PASSWORD"]})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


if __name__ == "__main__":
    main()
