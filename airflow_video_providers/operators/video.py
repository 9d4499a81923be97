"""Buy a video, and land a finished one. See :class:`~airflow_video_providers.sensors.video.VideoJobSensor` between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.integration.retries import failed
from airflow_video_providers.operators.base import BuysVideo, LandsVideo
from airflow_video_providers.operators.generate import GenerateVideoOperator
from airflow_video_providers.operators.rendered import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from airflow.sdk import Context, ObjectStoragePath

__all__ = ["DownloadVideoOperator", "GenerateVideoOperator", "SubmitVideoOperator"]


class SubmitVideoOperator(BuysVideo):
    """Buy one video, once, and push the job.

    ::

        submit = SubmitVideoOperator(
            task_id="submit",
            model="pixazo:pixverse-v6-text-to-video",
            request={"prompt": "{{ params.prompt }}", "duration": 5},
            retries=3,
        )
        wait = VideoJobSensor(task_id="wait", job=submit.output)

    The intent to buy is stored before the paid call and the job right after it, so that no retry buys a second
    clip: it returns the job that an earlier try bought. XCom: ``return_value`` is the job, the fields of
    :class:`~airflow_video_providers.core.jobs.VideoJob` as a plain dict; ``request_id`` is the vendor's id, also at
    ``submit.output["request_id"]``. All arguments of ``BaseOperator`` hold too.

    :param model: The model's id, ``"<vendor>:<model>"``, for example ``"pixazo:mochi-v1"``. Templated.
    :param request: What to generate: a dict of the model's fields, or the typed request, for example
        ``PixverseV6TextToVideo(prompt="a fox", duration=5)``. Templated: everywhere in a dict, in the text
        fields of a typed request. Literal mistakes fail when the DAG is parsed, rendered ones before anything
        is sent. Fields that are not set are not sent.
    :param request_id: Attach to this job of the vendor's and buy nothing. Templated.
    :param conn_id: The Airflow connection with the API key. Default: ``<vendor>_default``. Templated.
    :param extra_fields: Fields of the vendor that the catalogue does not know, sent as they are, but for files in
        a storage, which are lent as those of the request are. Templated.
    :param webhook_url: Your own receiver: an https address that the vendor calls when the job has ended, where the vendor
        has webhooks (Pixazo, fal, Replicate). It is no part of the request: a changed address is no changed purchase. Templated.
    :param deferrable: Wait in the triggerer, where a submit without an answer waits for the vendor's call. Default True.
    :param resolve_within: Seconds after a submit for which a lost answer waits for the vendor to call and to name the job,
        where ``[video_providers] callback_url`` asks for calls; only then does ``on_unknown_outcome`` decide. Default: 15
        minutes.
    :param webhook_mode: ``"terminal"`` (default): one call at the job's end. ``"sync"``: also one at each status that the
        vendor sees.
    :param on_clear: What a user's Clear of this task does once its job is finished: ``"resubmit"`` buys again,
        ``"reattach"`` returns the finished job. A job that still runs is kept in both cases. Default:
        ``[video_providers] on_clear``, which is ``"resubmit"`` unless set.
    :param on_unknown_outcome: What to do where an earlier try may have bought and nobody knows: ``"fail"``
        (default), or ``"resubmit"``, which buys at most once more and may pay twice.
    :param queue_timeout: How long to come back to an empty account, in seconds or as a timedelta. With ``ledger_path`` a
        submit that finds it empty is put off without spending a try; after this time it fails. Default: 24 hours.
    :param max_cost_usd: Refuse a request whose estimated price is higher, in US dollars. The connection's extra
        may hold a ``max_cost_usd`` too; the stricter one wins.
    :param max_run_cost_usd: Refuse a request with which the estimates of all submits of the DAG run would pass
        this many US dollars. Needs ``[video_providers] ledger_path``.
    :param allow_unknown_price: Buy under this task's ``max_cost_usd`` although no price is known; a limit of the
        connection's is lifted by ``allow_unknown_price`` in its extra alone, and a sum by nobody. Default False.
    :param schema: For a model that the catalogue does not list (``fal:<endpoint>``): the file that requests are checked
        against, as ``airflow video-models fetch`` has written it. A relative path starts at the DAG's file. Default: none.
    :param unchecked: Buy from such a model without a schema: nobody checks the fields. Default False.
    :param keep_prompt: Keep the prompt and the image's address in the job, the manifest and the asset event as they are.
        Default False: their sha256 alone (``prompt_sha256``). The ledger and the triggers never hold them.
    :param reuse: ``"same_request"``: where the ledger knows that a request with the same model, parameters and images has
        landed, and its files are still there, buy nothing and return that job; ``reused_from`` says where it came from.
        Needs ``[video_providers] ledger_path``. Default None: buy.
    :param make_unique: Send a seed of our own where the request sets none and the model takes one (by the catalogue, or its
        pinned schema). It stands in the job's ``parameters``. Of equal requests whose answers are lost each one's job can
        then be found in the vendor's history, also on Airflow's state store. Default False: what is sent is what you wrote.
    :param output_path: Where the video is going to land, as in ``DownloadVideoOperator``: given here, it is checked
        before anything is bought. Nothing is landed by this task. Templated.
    :raises InvalidRequestError: the request, the model, the connection or ``output_path`` is wrong; nothing was sent.
    :raises LandingError: the connection or the storage of ``output_path`` cannot be asked; nothing was sent. Retried.
    :raises LedgerError: the record of purchases cannot be reached; nothing was sent. Retried.
    :raises AuthenticationError: the key was refused; nothing was charged. Not retried.
    :raises InsufficientCreditsError: the account is empty; nothing was charged. Not retried. With ``ledger_path`` the task
        is put off instead, until ``queue_timeout``.
    :raises RequestRejectedError: the vendor refused the request; nothing was charged. Not retried.
    :raises RateLimitedError: too many requests; nothing was charged. Retried after the time the vendor names.
    :raises VendorUnavailableError: the vendor was not reached; nothing was charged. Retried.
    :raises SubmissionOutcomeUnknownError: it may have been accepted and charged. Not retried.
    """

    template_fields: Sequence[str] = (*BuysVideo.template_fields, "output_path")
    path_is_optional = True

    def __init__(self, *, output_path: str | PathLike[str] | ObjectStoragePath | None = None, **kwargs: Any) -> None:
        output_path = as_text(output_path)
        self.output_path = output_path
        super().__init__(**kwargs)

    def execute(self, context: Context, named: object = None) -> dict[str, Any]:
        """Buy, or return what an earlier try bought."""
        from airflow_video_providers.operators.callbacks import bought
        from airflow_video_providers.operators.submit import buy

        try:
            job = self.as_kept(
                bought(self, context, lambda event: buy(self, context, check=self._check_landing, event=event), named)
            )
        except VideoProviderError as error:
            failure = failed(self, error)
        else:
            context["ti"].xcom_push(key="request_id", value=job.request_id)
            return job.to_dict()
        raise failure

    def execute_named(self, context: Context, event: Any) -> dict[str, Any]:
        """A call has named the job of a submit without an answer, or the time for that is over."""
        return self.execute(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow's own limit on the trigger speaks of a trigger; say what it means for the money."""
        from airflow_video_providers.operators.callbacks import resumed

        return resumed(
            self, context, lambda: super(SubmitVideoOperator, self).resume_execution(next_method, next_kwargs, context)
        )

    def _check_landing(self) -> None:
        from airflow_video_providers.core.landing.preflight import preflight

        if self.output_path is not None:
            preflight(str(self.output_path))

    def on_kill(self) -> None:
        """Nothing is cancelled: the job is kept, and a retry finds it."""
        self.log.warning(
            "Killed. A video that was bought is still being made and may be charged; nothing is cancelled. "
            "A retry returns the job it bought, or says that the outcome is unknown. So does a Clear while the job runs; "
            "after its end a Clear buys again, unless on_clear='reattach' is set."
        )


class DownloadVideoOperator(LandsVideo):
    """Land a finished video in object storage: whole, verified, and under a name that is a function of the job.

    ::

        land = DownloadVideoOperator(task_id="land", job=wait.output, output_path="s3://aws_default@bucket/videos")

    The manifest is written last; a task that is run again finds it and does nothing, also after the vendor's
    address has expired. XCom: the manifest as plain JSON; ``outputs`` holds ``uri``, ``bytes``, ``sha256``,
    ``content_type`` and what the container says (``duration_s``, ``width``, ``height``, codecs) of each file.
    All arguments of ``BaseOperator`` hold too.

    :param job: The finished job, ``wait.output``. Templated.
    :param output_path: Where to land: ``"s3://aws_default@bucket/videos"``, ``gs://``, ``abfs://``, ``file://``,
        a local path, or any other scheme of fsspec; the part before the ``@`` is the Airflow connection. A path object
        is taken too. Templated.
    :param overwrite: Replace what is stored. By default an equal object is kept and a different one is an error.
    :param verify: ``"container"`` (default) checks the container from first to last box, ``"decode"`` decodes
        every frame too (extra ``media``).
    :param expect: What to do where the file is not what the request asked for (duration, resolution, ratio, audio):
        ``"report"`` (default) writes it into the manifest (``differences``) and the log, ``"strict"`` refuses the file and
        keeps it as other refused files are; landed with ``"report"`` afterwards, it is read from there.
    :param media_types: Accepted types. Default: MP4 and WebM.
    :param key_template: Where below ``output_path``; default
        ``provider={vendor}/model={model}/dt={date}/{request_id}/{index}``. Templated by Jinja too.
    :param poster: Land a JPEG of one frame beside each clip (extra ``media``). Default False.
    :param max_bytes: No output may be larger. Default: 4 GiB.
    :param download_timeout: Seconds for all downloads of the job together. Default: one hour.
    :param extra_manifest: Anything else the manifest shall hold, for example the prompt. Templated.
    :param download_user_agent: What the file host is sent as User-Agent, where it refuses programs with 403; for example
        ``"Mozilla/5.0"``. Default: ``download_user_agent`` of the connection's extra, or this package's name.
    :param encryption: What is sent to S3 with each upload: ``ServerSideEncryption`` (for example ``"aws:kms"``),
        ``SSEKMSKeyId``, ``SSEKMSEncryptionContext``, ``BucketKeyEnabled``. Default: as the bucket's owner has set it up.
        Templated.
    :param source_paths: Keep the path of each output's address in the manifest, not only its host. Default False:
        some vendors' files are public to whoever knows the path.
    :param keep_rejected: Keep a file that came whole and is refused by our reading (its container, the decoder, a missing
        extra) below ``_rejected/<request_id>/`` in ``output_path``. Every next try reads it there before the vendor is
        asked, and while it is there a Clear buys nothing; to delete that folder is the word that a Clear may buy again.
        Default True.
    :raises OutputExpiredError: the output is lost: the vendor says so again and again, or its documented retention is
        long over. Not retried; a Clear may buy again.
    :raises OutputRejectedError: what came is not a whole video. Not retried; the text says where the file is kept.
    :raises LandingError: the storage refuses, or holds something else under the name.
    :raises DownloadError: network, disk, file host or time did not allow it; an address that serves nothing while the
        vendor says that the job is finished is one of these, after minutes. Retried. For all of these the job is paid for,
        nothing has its final name, and running the task again does not buy again.
    """

    template_fields: Sequence[str] = ("job", *LandsVideo.template_fields)
    template_fields_renderers = {"job": "json", **LandsVideo.template_fields_renderers}
    ui_color = "#d6f0d3"

    def __init__(
        self, *, job: Mapping[str, Any], output_path: str | PathLike[str] | ObjectStoragePath, **kwargs: Any
    ) -> None:
        super().__init__(output_path=output_path, **kwargs)
        self.job = job

    def execute(self, context: Context) -> dict[str, Any]:
        """Land the job; nothing is fetched where it is landed already."""
        from airflow_video_providers.core.jobs import read_job
        from airflow_video_providers.operators.download import deliver

        try:
            return deliver(read_job(self.job), self, context)
        except VideoProviderError as error:
            failure = failed(self, error)
        raise failure
