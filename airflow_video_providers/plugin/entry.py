"""The plugin as Airflow finds it, by the entry point group ``airflow.plugins``.

Every process of Airflow may load this class, so this module imports nothing else; the apps are built in the API server,
at their first request.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowPlugin, conf

from airflow_video_providers.plugin.lazy_app import LazyApp

_PACKAGE = "airflow_video_providers.plugin"
#: Where the pages are mounted in the API server. In a view it stands without the slash: the UI resolves it against its base.
CONSOLE = "/video"
_TASK = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"


#: Where the receiver of callbacks is mounted, if the configuration says so. No page: vendors call it, without a login.
RECEIVER = "/video-callbacks"


def _receiver() -> list[dict[str, object]]:
    if conf.get("video_providers", "callback_receiver", fallback="") != "api-server":
        return []
    app = LazyApp(f"{_PACKAGE}.receiver:build")
    return [{"name": "AI video callbacks", "app": app, "url_prefix": RECEIVER}]


class VideoPlugin(AirflowPlugin):
    """Pages in Airflow's UI: a tab on the task instance, one on the DAG run, and one in the navigation."""

    name = "video_providers"
    fastapi_apps = [
        {"name": "AI video", "app": LazyApp(f"{_PACKAGE}.console.app:build"), "url_prefix": CONSOLE},
        *_receiver(),
    ]
    external_views = [
        {
            "name": "Videos",
            "href": f"{CONSOLE[1:]}/videos",
            "destination": "nav",
            "url_route": "videos",
            "category": "browse",
        },
        {
            "name": "Videos",
            "href": f"{CONSOLE[1:]}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "run_videos",
        },
        {
            "name": "Video",
            "href": f"{CONSOLE[1:]}/task?{_TASK}",
            "destination": "task_instance",
            "url_route": "video",
        },
    ]
