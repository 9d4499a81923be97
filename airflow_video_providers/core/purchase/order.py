"""What is to be bought: made once, before anything is stored or sent, and not changed after it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from airflow_video_providers.core.inputs.staged import Staged, stage
from airflow_video_providers.core.purchase.intent import Intent
from airflow_video_providers.core.purchase.limits import Limits
from airflow_video_providers.core.purchase.own_seed import own_seed, with_seed
from airflow_video_providers.core.purchase.owner_fields import read_fields, with_fields
from airflow_video_providers.core.purchase.price_list import rows_of
from airflow_video_providers.core.purchase.pricing import Estimate, estimate
from airflow_video_providers.core.vendors.extra_fields import refuse_known
from airflow_video_providers.core.vendors.parameters import kept_of
from airflow_video_providers.core.vendors.wire import compose

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from logging import Logger

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.client.client import VideoClient
    from airflow_video_providers.core.errors import VideoProviderError
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.core.settings import Settings
    from airflow_video_providers.core.vendors.base import Vendor
    from airflow_video_providers.core.vendors.models import VideoModel
    from airflow_video_providers.core.vendors.wire import Wire


class Receiver(Protocol):
    """Our receiver of callbacks.

    :param resolve_within: Seconds for which a lost answer waits for a call.
    """

    @property
    def resolve_within(self) -> float:
        """Seconds."""

    def callback_for(self, attempt: Attempt) -> Callback | None:
        """Where the vendor is to call about this attempt; None where it cannot be asked to."""


@dataclass(frozen=True)
class Order:
    """One video to buy.

    :param request: The typed request: its model says where it is bought.
    :param wire: What is sent, whole. The ledger records the digest of its body, for what a lost answer is found by.
    :param recorded: What is recorded of the request, for drift and reuse, where that is not ``wire``: the same, with the
        digests of its stored images in place of the addresses at which they are lent, and without ``own_seed``.
    :param own_seed: The seed of ours that is sent, so that no other submit sends the same.
    :param conn_id: The connection that pays.
    :param cost: What it is thought to cost.
    :param limits: What may be spent.
    :param callback: Where the vendor is to call: the author's own receiver, or ours, which is named per attempt.
    :param receiver: Our receiver, where there is one.
    :param callback_until: Until when the vendor may call ours.
    :param kept: What is kept of the request in the job: :func:`~airflow_video_providers.core.vendors.parameters.kept_of`.
    :param staged: The images that the request names in storage: ``request`` and ``wire`` have their digests in place of
        their addresses, until :meth:`lent`.
    """

    request: VideoModel
    wire: Wire
    conn_id: str | None = None
    cost: Estimate = field(default_factory=Estimate)
    limits: Limits = field(default_factory=Limits)
    callback: Callback | None = None
    receiver: Receiver | None = None
    callback_until: datetime | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)
    staged: Staged | None = None
    recorded: Wire | None = None
    own_seed: int | None = None

    @property
    def lends(self) -> bool:
        """Has it files that are still to be lent to the vendor?"""
        return self.staged is not None and bool(self.staged.images)

    def lent(self, client: VideoClient, connection: Settings, *, loan: timedelta, log: Logger) -> Order:
        """The order as it is sent: with addresses of its stored images that the vendor can fetch.

        :param loan: For how long a signed address has to hold.
        :raises InvalidRequestError: an image cannot be lent. Nothing was bought.
        :raises VendorError: the vendor's upload did not take one. Nothing was bought.
        """
        if self.staged is None or not self.lends:
            return self
        hosts = connection.allow_private_hosts
        request, extra_fields = self.staged.lent(client, loan=loan, allowed_hosts=hosts, log=log)
        wire = compose(client.vendor, request, extra_fields)
        return replace(self, request=request, wire=wire, recorded=self.recorded or self.wire, staged=None)

    @property
    def intent(self) -> Intent:
        """What is recorded of it before the paid call."""
        return Intent.of(
            model=self.request.id,
            request=(self.recorded or self.wire).body,
            sent_sha256=self.wire.sha256(),
            own_seed=self.own_seed,
            conn_id=self.conn_id,
            estimated_cost_usd=self.cost.usd,
            cost_basis=self.cost.basis,
        )

    def addressed(self, attempt: Attempt) -> tuple[Order, Attempt]:
        """The order and its attempt, with our receiver's address for it, unless the author names a receiver."""
        if self.callback is not None or self.receiver is None:
            return self, attempt
        if (callback := self.receiver.callback_for(attempt)) is None:
            return self, attempt
        attempt = attempt.replace(resolve_within=self.receiver.resolve_within)
        return replace(self, callback=callback, callback_until=attempt.callback_until), attempt

    def noted_in(self, job: VideoJob) -> VideoJob:
        """The job that it bought, with what was known of it before."""
        return job.replace(
            conn_id=self.conn_id,
            estimated_cost_usd=self.cost.usd,
            cost_basis=self.cost.basis,
            request_sha256=self.intent.request_sha256,
            callback_until=self.callback_until,
            **self.kept,
        )


@dataclass(frozen=True)
class NoOrder:
    """A task that cannot buy any more as it is written now. What it bought before is still its own.

    :param error: What is wrong with it.
    """

    model: str
    conn_id: str | None
    error: VideoProviderError

    @property
    def intent(self) -> Intent:
        """Of nothing."""
        return Intent.of(model=self.model, request={}, conn_id=self.conn_id)


def make_order(
    vendor: Vendor,
    request: VideoModel,
    extra_fields: Mapping[str, Any],
    connection: Settings,
    *,
    max_cost_usd: object = None,
    max_run_cost_usd: object = None,
    allow_unknown_price: bool = False,
    callback: Callback | None = None,
    receiver: Receiver | None = None,
    make_unique: bool = False,
) -> Order:
    """The order for a request: the only place that makes one.

    :param extra_fields: Fields of the vendor that the catalogue does not know; sent as they are, but for files in a storage.
    :param connection: Who pays: the account's prices, its owner's limits, and the fields that the owner forces or forbids.
    :param callback: Where the vendor is to call, checked: the author's own receiver.
    :param receiver: Ours, which is not used where ``callback`` is given.
    :param max_cost_usd: The buyer's own limits, beside the owner's, as ``max_run_cost_usd`` and ``allow_unknown_price``.
    :param make_unique: Send a seed of ours where the author sets none and the model takes one.
    :raises InvalidRequestError: the request, ``extra_fields``, a price or a limit is wrong, or an image cannot be bought
        with. Nothing was sent.
    :raises LandingError: an image's storage cannot be asked right now. Nothing was sent; a retry may help.
    """
    refuse_known(request, extra_fields, _owned(request, connection.extra))
    request = with_fields(request, extra_fields, connection.extra.get("fields"))
    cost = estimate(request, connection.extra.get("prices"))
    limits = Limits.of(
        connection.extra,
        max_cost_usd=max_cost_usd,
        max_run_cost_usd=max_run_cost_usd,
        allow_unknown_price=allow_unknown_price,
    )
    staged = stage(request, extra_fields, allowed_hosts=connection.allow_private_hosts)
    extra_fields, recorded = staged.extra_fields, None
    seed = own_seed(request, connection.extra.get("fields")) if make_unique else None
    if seed is not None:
        recorded = compose(vendor, staged.request, extra_fields)
        staged = replace(staged, request=with_seed(staged.request, seed))
    wire, kept = compose(vendor, staged.request, extra_fields), staged.kept(kept_of(staged.request, extra_fields))
    return Order(
        staged.request,
        wire,
        connection.conn_id,
        cost,
        limits,
        callback,
        receiver,
        kept=kept,
        staged=staged,
        recorded=recorded,
        own_seed=seed,
    )


def _owned(request: VideoModel, extra: Mapping[str, Any]) -> set[str]:
    """The fields of which a connection's owner speaks: what is forced, and what a price hangs on."""
    forced = {name for name, value in read_fields(extra.get("fields")).items() if value is not None}
    rows = rows_of(type(request), extra.get("prices")) or ()
    return forced.union(*(row.when for row in rows))
