"""The arguments that operators share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseOperator, BaseOperatorLink

from airflow_video_providers.integration.lineage import ReportsLineage
from airflow_video_providers.integration.retries import made_while_running, with_retry_policy
from airflow_video_providers.links.video import LandedVideoLink, ManifestLink, ModelDocumentationLink
from airflow_video_providers.operators.rendered import ReadsTemplates, as_shown, as_text, schema_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from decimal import Decimal
    from os import PathLike

    from airflow.sdk import ObjectStoragePath

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.vendors.description import WebhookMode
    from airflow_video_providers.core.vendors.models import VideoModel


class BuysVideo(ReadsTemplates, ReportsLineage, BaseOperator):
    """Base of the operators that buy a video: what to buy, for how much, and what is already bought."""

    template_fields: Sequence[str] = ("model", "request", "request_id", "conn_id", "extra_fields", "webhook_url")
    template_fields_renderers = {"request": "json", "extra_fields": "json"}
    operator_extra_links: Collection[BaseOperatorLink] = (ModelDocumentationLink(),)
    ui_color = "#fdeac6"
    #: How the task waits between two tries of the same, in seconds.
    _sleep: Callable[[float], None] = staticmethod(time.sleep)

    def __init__(
        self,
        *,
        model: str,
        request: Mapping[str, Any] | VideoModel | None = None,
        request_id: str | None = None,
        conn_id: str | None = None,
        extra_fields: Mapping[str, Any] | None = None,
        webhook_url: str | None = None,
        webhook_mode: WebhookMode = "terminal",
        deferrable: bool = True,
        resolve_within: timedelta | float = 900,
        on_clear: Literal["resubmit", "reattach"] | None = None,
        on_unknown_outcome: Literal["fail", "resubmit"] = "fail",
        queue_timeout: timedelta | float = 86400.0,
        max_cost_usd: float | Decimal | str | None = None,
        max_run_cost_usd: float | Decimal | str | None = None,
        allow_unknown_price: bool = False,
        schema: str | PathLike[str] | None = None,
        unchecked: bool = False,
        keep_prompt: bool = False,
        reuse: Literal["same_request"] | None = None,
        make_unique: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**with_retry_policy(kwargs))
        self.model = model
        self.request = request
        self.request_id = request_id
        self.conn_id = conn_id
        self.extra_fields = extra_fields
        self.webhook_url = webhook_url
        self.webhook_mode = webhook_mode
        self.deferrable = deferrable
        self.resolve_within = (
            resolve_within.total_seconds() if isinstance(resolve_within, timedelta) else resolve_within
        )
        self.on_clear = on_clear
        self.on_unknown_outcome = on_unknown_outcome
        self.queue_timeout = queue_timeout.total_seconds() if isinstance(queue_timeout, timedelta) else queue_timeout
        self.max_cost_usd = max_cost_usd
        self.max_run_cost_usd = max_run_cost_usd
        self.allow_unknown_price = allow_unknown_price
        self.schema = schema_text(schema)
        self.unchecked = unchecked
        self.keep_prompt = keep_prompt
        self.reuse = reuse
        self.make_unique = make_unique
        # Whose typed request it is shows only here: rendering makes a dict of it.
        from airflow_video_providers.operators import parse_checks

        if parse_checks.is_typed(request) or not made_while_running(self):
            parse_checks.check_request(model, request, request_id, task=self)
        if not made_while_running(self):
            parse_checks.check_arguments(self)

    def as_kept(self, job: VideoJob) -> VideoJob:
        """The job as this task pushes it: with the texts of its request, where ``keep_prompt`` says so."""
        from airflow_video_providers.core.vendors.parameters import with_texts

        request: Any = self.request
        if hasattr(request, "serialize"):  # a typed one that was not rendered
            request = request.serialize()
        return with_texts(job, request) if self.keep_prompt and isinstance(request, Mapping) else job

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a typed request field by field, into a dict: the object may be shared by several tasks."""
        from airflow_video_providers.operators import parse_checks

        if parse_checks.is_typed(content):
            content = content.serialize()
        rendered = super().render_template(content, *args, **kwargs)
        return rendered if isinstance(content, dict | list | tuple | set) else as_shown(rendered)


class LandsVideo(ReadsTemplates, ReportsLineage, BaseOperator):
    """Base of the operators that land a video: where, under which name, and what is checked."""

    template_fields: Sequence[str] = ("output_path", "key_template", "extra_manifest", "encryption")
    template_fields_renderers = {"extra_manifest": "json"}
    operator_extra_links: Collection[BaseOperatorLink] = (LandedVideoLink(), ManifestLink(), ModelDocumentationLink())
    #: How the task waits between two tries of the same, in seconds.
    _sleep: Callable[[float], None] = staticmethod(time.sleep)

    def __init__(
        self,
        *,
        output_path: str | PathLike[str] | ObjectStoragePath,
        overwrite: bool = False,
        verify: Literal["container", "decode"] = "container",
        expect: Literal["report", "strict"] = "report",
        media_types: Sequence[str] | None = None,
        key_template: str | None = None,
        poster: bool = False,
        max_bytes: int | None = None,
        download_timeout: float = 3600.0,
        extra_manifest: Mapping[str, Any] | None = None,
        download_user_agent: str | None = None,
        source_paths: bool = False,
        encryption: Mapping[str, Any] | None = None,
        keep_rejected: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**with_retry_policy(kwargs))
        output_path = as_text(output_path)
        self.output_path = output_path
        self.overwrite = overwrite
        self.verify = verify
        self.expect = expect
        self.media_types = media_types
        self.key_template = key_template
        self.poster = poster
        self.max_bytes = max_bytes
        self.download_timeout = download_timeout
        self.extra_manifest = extra_manifest
        self.download_user_agent = download_user_agent
        self.source_paths = source_paths
        self.encryption = encryption
        self.keep_rejected = keep_rejected
        if not made_while_running(self):
            from airflow_video_providers.operators import parse_checks

            parse_checks.check_arguments(self)
            parse_checks.check_landing(key_template, verify, media_types, encryption)


class BuysAndLands(BuysVideo, LandsVideo):
    """What the one task is made of."""

    template_fields: Sequence[str] = (*BuysVideo.template_fields, *LandsVideo.template_fields)
    template_fields_renderers = {**BuysVideo.template_fields_renderers, **LandsVideo.template_fields_renderers}
    operator_extra_links = LandsVideo.operator_extra_links
