"""What a vendor's class says about itself, and what of it a connection replaces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import Charged, InvalidRequestError
from airflow_video_providers.core.vendors.output_shapes import REASON_PATHS, STATUS_PATHS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from airflow_video_providers.core.jobs import JobStatus, OutputRole
    from airflow_video_providers.core.vendors.answers import Answer

#: "terminal": one call at the job's end. "sync": a call at each change that the vendor sees too.
WebhookMode = Literal["terminal", "sync"]


class Description:
    """The facts about a vendor that its file states.

    :cvar id: Connection type and first half of the model ids.
    :cvar base_url: The vendor's own address; a connection's host replaces it.
    :cvar other_urls: Further addresses of the vendor's own, by a name for :meth:`call`. The key goes to these and to
        ``base_url``, and nowhere else. A connection's host replaces them all: a key meant for it goes to it alone.
    :cvar keyless_urls: Addresses of the vendor's own to which the key never goes, by a name for :meth:`call`: what is sent there
        carries a token that the vendor has given for it, or nothing.
    :cvar key_header: The header that carries the API key, and ``key_prefix`` what stands before it there.
    :cvar id_paths: Where in a body the job's own id stands, in the answer to a submit and in a status; the first that
        holds one counts. Empty: a submit takes what can be nothing else, and a status may be about any job.
    :cvar words: What its own status words mean, where the words of the field do not hold them or mean something else.
    :cvar output_paths: Where in a body the videos' addresses stand; the first that holds any counts.
    :cvar further_outputs: Where the addresses of files that are no video stand, by their role; nothing else is taken for one.
    :cvar media_type_names: Names under which an output's media type stands beside its ``url``, and ``media_type_paths`` where
        those of the videos stand in a place of their own: one text for all, or a list with one for each.
    :cvar status_paths: Where the status word stands, ``reason_paths`` why a job failed, ``submitted_paths`` and
        ``completed_paths`` the times (ISO 8601, or seconds since 1970), ``progress_paths`` how much is done (0 to 1), and
        ``cost_paths`` what the job has cost, in US dollars. Dotted; the first that holds something counts.
    :cvar charged: What a final state means for the bill; a state that is not named is ``"unknown"``.
    :cvar no_credits: HTTP codes that mean an empty account.
    :cvar says_balance: Does a free call say what the account has left (:meth:`Vendor.balance`)?
    :cvar failure_codes: HTTP codes other than 2xx whose body describes a job.
    :cvar retention: How long the vendor keeps a job after the submit, where its documents say so.
    :cvar poll_seconds: Shortest and longest useful time between two polls of one job.
    :cvar documented_poll_seconds: Shortest time between two polls of one job that the vendor's documents ask for.
    :cvar requests_per_minute: Default request budget of a connection.
    :cvar open_ids: Of a vendor that serves any model by its id: what such an id looks like. Empty: it serves what the
        catalogue lists.
    :cvar history_kept: How long the vendor shows what it was asked for, with the submit's own fields; None: it does not.
    :cvar history_by_model: Does its history show the jobs of one model alone? Where not, an open submit of another of its models
        with the same fields makes a match doubtful.
    :cvar largest_upload: Bytes of the largest file that its ``upload`` takes; None: no document names a limit.
    :cvar cancel_deletes: Does the call that cancels delete a job that has ended? Then only a job that still waits is cancelled:
        what runs may end between the question and the call.
    :cvar status_routes: The status calls the documents describe; the first is the default.
    :cvar webhook_modes: When the vendor calls back an address that came with a submit: ``"terminal"``, ``"sync"``.
        Empty: it has no webhooks.
    :cvar own_settings: Settings of its own that a connection's extra may hold, by name, and what reads each: it returns the value,
        or raises a ValueError whose text says what is allowed.
    :cvar callback_keys_url: Where it publishes the keys with which it signs its calls, as a JSON Web Key Set. Fetched without
        the API key. Empty: nowhere.

    :param base_url: The address to use instead of the vendor's own.
    :param status_route: ``"legacy"`` for an older status call, where the vendor has one.
    :param paths: Other paths of submit calls than the models' own, by model id.
    :param settings: A connection's extra, of which :attr:`own_settings` are read.
    :param now: The clock.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    base_url: ClassVar[str]
    other_urls: ClassVar[Mapping[str, str]] = {}
    keyless_urls: ClassVar[Mapping[str, str]] = {}
    documentation: ClassVar[str] = ""
    key_header: ClassVar[str]
    key_prefix: ClassVar[str] = ""
    id_paths: ClassVar[tuple[str, ...]] = ()
    words: ClassVar[Mapping[str, JobStatus]] = {}
    output_paths: ClassVar[tuple[str, ...]] = ()
    further_outputs: ClassVar[Mapping[OutputRole, tuple[str, ...]]] = {}
    media_type_names: ClassVar[tuple[str, ...]] = ()
    media_type_paths: ClassVar[tuple[str, ...]] = ()
    status_paths: ClassVar[tuple[str, ...]] = STATUS_PATHS
    reason_paths: ClassVar[tuple[str, ...]] = REASON_PATHS
    submitted_paths: ClassVar[tuple[str, ...]] = ("created_at",)
    completed_paths: ClassVar[tuple[str, ...]] = ("completed_at",)
    progress_paths: ClassVar[tuple[str, ...]] = ()
    cost_paths: ClassVar[tuple[str, ...]] = ()
    charged: ClassVar[Mapping[JobStatus, Charged]] = {}
    no_credits: ClassVar[frozenset[int]] = frozenset({402})
    says_balance: ClassVar[bool] = False
    failure_codes: ClassVar[frozenset[int]] = frozenset()
    retention: ClassVar[timedelta | None] = None
    poll_seconds: ClassVar[tuple[float, float]] = (5.0, 30.0)
    documented_poll_seconds: ClassVar[float | None] = None
    requests_per_minute: ClassVar[float] = 60.0
    status_routes: ClassVar[tuple[str, ...]] = ("default",)
    history_kept: ClassVar[timedelta | None] = None
    history_by_model: ClassVar[bool] = True
    largest_upload: ClassVar[int | None] = None
    cancel_deletes: ClassVar[bool] = False
    open_ids: ClassVar[str] = ""
    _open_id: ClassVar[re.Pattern[str]] = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+")
    webhook_modes: ClassVar[tuple[WebhookMode, ...]] = ()
    callback_keys_url: ClassVar[str] = ""
    own_settings: ClassVar[Mapping[str, Callable[[object], Any]]] = {}

    def __init__(
        self,
        base_url: str | None = None,
        *,
        status_route: str = "default",
        paths: Mapping[str, str] | None = None,
        settings: Mapping[str, object] | None = None,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        if status_route not in self.status_routes:
            allowed = ", ".join(self.status_routes)
            raise InvalidRequestError(
                f"{self.title} has no status route {status_route!r}; it has {allowed}.",
                vendor=self.id,
                field="status_route",
                value=status_route,
                allowed=allowed,
            )
        self.url = (base_url or self.base_url).rstrip("/")
        own = not base_url or self.url == self.base_url.rstrip("/")
        self.urls = {name: url.rstrip("/") if own else self.url for name, url in self.other_urls.items()}
        self.keyless = {name: url.rstrip("/") if own else self.url for name, url in self.keyless_urls.items()}
        self.status_route = status_route
        self.paths = paths or {}
        given = {name: value for name, value in (settings or {}).items() if not _is_blank(value)}
        #: Of its own settings those that are set, read.
        self.settings = {name: self._own_setting(name, given[name]) for name in self.own_settings if name in given}
        self.now = now

    def _own_setting(self, name: str, value: object) -> Any:
        try:
            return self.own_settings[name](value)
        except ValueError as wrong:
            raise InvalidRequestError(
                f"{name} in the connection's extra is {value!r:.60}; it must be {wrong}.",
                remedy="Correct the connection's extra, then run the task again.",
                vendor=self.id,
                field=name,
                value=value,
                allowed=str(wrong),
            ) from None

    @classmethod
    def open_problem(cls, name: str) -> str | None:
        """What keeps this from being the name of a model that is not listed; "" where the vendor has no such models."""
        if not cls.open_ids:
            return ""
        fits = len(name) <= 200 and cls._open_id.fullmatch(name) and ".." not in name
        return None if fits else f"an id of {cls.title} is {cls.open_ids}"

    @classmethod
    def open_path(cls, name: str) -> str:
        """Where a model that is not listed is bought."""
        return f"/{name}"

    @classmethod
    def documentation_of(cls, name: str) -> str:  # noqa: ARG003 # for the vendors that have a page for each
        """The page about a model that is not listed."""
        return cls.documentation

    def credits_left(self, answer: Answer) -> str | None:  # noqa: ARG002 # most vendors do not say
        """What the account has left, where an answer says."""
        return None


def _is_blank(value: object) -> bool:
    """What a form stores that was not filled in."""
    return value is None or (isinstance(value, str) and not value.strip())
