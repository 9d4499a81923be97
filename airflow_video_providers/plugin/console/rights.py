"""Who may see and do what, by Airflow's auth manager; and whether a form was sent by our own page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails, DagAccessEntity, DagDetails
from airflow.models.dag import DagModel  # noqa: TID251 - the team of a DAG is asked for where Airflow asks
from airflow.providers.common.compat.sdk import conf
from fastapi import HTTPException
from itsdangerous import BadSignature, URLSafeTimedSerializer

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds for which a page's form may be sent.
FORM_LIFE = 12 * 3600


def readable_dags(user: Any) -> frozenset[str]:
    """The DAGs that this user may read. One that was deleted from Airflow is nobody's any more."""
    return frozenset(get_auth_manager().get_authorized_dag_ids(user=user, method="GET"))


def editable_dags(user: Any) -> frozenset[str]:
    """The DAGs that this user may edit."""
    return frozenset(get_auth_manager().get_authorized_dag_ids(user=user, method="PUT"))


def require_read(user: Any, dag_id: str) -> None:
    """May this user read the DAG, its task instances and what they pushed?

    :raises HTTPException: 403, whether or not there is such a DAG.
    """
    for entity in (None, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM):
        if not _may(user, "GET", dag_id, entity):
            raise HTTPException(403, "You may not read this DAG.")


def may_edit(user: Any, dag_id: str) -> bool:
    """May this user edit the DAG?"""
    return _may(user, "PUT", dag_id, None)


def may_see_connection(user: Any, conn_id: str) -> bool:
    """May this user read the connection, and so its limits?"""
    return bool(
        get_auth_manager().is_authorized_connection(method="GET", details=ConnectionDetails(conn_id=conn_id), user=user)
    )


def _may(user: Any, method: Any, dag_id: str, entity: Any) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user))


def form_token(user: Any) -> str:
    """What a form carries to show that this user's own page made it."""
    return _signer().dumps(str(user.get_id()))


def require_own_form(user: Any, token: str, headers: Mapping[str, str]) -> None:
    """Was the form made by our page, for this user?

    :raises HTTPException: 403 where another site sent it.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    foreign = site not in (None, "same-origin") or (site is None and origin is not None and not _ours(origin, headers))
    try:
        whose = _signer().loads(token, max_age=FORM_LIFE)
    except BadSignature:
        whose = None
    if foreign or whose != str(user.get_id()):
        raise HTTPException(403, "This form was not made by this page for you, or it is too old. Load the page again.")


def _ours(origin: str, headers: Mapping[str, str]) -> bool:
    hosts = {headers.get("host"), urlsplit(conf.get("api", "base_url", fallback="") or "").netloc}
    return urlsplit(origin).netloc in hosts


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(conf.get("api", "secret_key"), salt="airflow-video-providers console")
