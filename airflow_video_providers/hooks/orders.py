"""What a hook may buy, and the paid call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.hooks.connected import ConnectedHook

if TYPE_CHECKING:
    import logging
    import os
    from collections.abc import Mapping

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.order import Order, Receiver
    from airflow_video_providers.core.purchase.pricing import Estimate
    from airflow_video_providers.core.vendors.models import VideoModel


class OrderingHook(ConnectedHook):
    """The limits of the connection's owner, and the paid call."""

    @classmethod
    def for_model(cls, model: str, conn_id: str | None = None) -> OrderingHook:
        """The hook of the vendor that serves this model."""
        raise NotImplementedError

    def refuse_if_off(self) -> None:
        """Nothing is bought with a connection that says so.

        :raises InvalidRequestError: ``submits_enabled`` of its extra is false, or neither true nor false.
        :raises InsufficientCreditsError: the account has less left than ``min_remaining_credits``.
        :raises VendorError: ``min_remaining_credits`` is set, and the vendor did not say what is left.
        """
        if not self.settings.submits_enabled:
            raise InvalidRequestError(
                f"Nothing is bought with the connection {self.conn_id!r}: submits_enabled in its extra is false.",
                remedy="Set submits_enabled to true in the connection's extra, then run the task again.",
                vendor=self.vendor_class.id,
                field="submits_enabled",
                value=False,
            )
        from airflow_video_providers.hooks.balance import refuse_low_balance

        refuse_low_balance(self)

    def order(
        self,
        request: VideoModel,
        extra_fields: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        *,
        receiver: Receiver | None = None,
        make_unique: bool = False,
    ) -> Order:
        """What a hook buys, with the limits in the connection's extra: they are its owner's, and hold here too.

        :param callback: An author's own receiver, where one is named.
        :param receiver: Ours, where there is one and a ledger.

        :raises InvalidRequestError: the request, a price or a limit is wrong, or an image cannot be bought with. Nothing was
            sent.
        :raises LandingError: an image's storage cannot be asked right now. Nothing was sent; a retry may help.
        """
        from airflow_video_providers.core.purchase.order import make_order
        from airflow_video_providers.integration import object_storage  # noqa: F401 # images from buckets, the same way

        fields = {} if extra_fields is None else extra_fields
        return make_order(
            self.get_conn().vendor,
            request,
            fields,
            self.settings,
            callback=callback,
            receiver=receiver,
            make_unique=make_unique,
        )

    def estimate(self, model: str | VideoModel, request: Mapping[str, Any] | None = None) -> Estimate:
        """What a request is thought to cost, by the connection's own prices or the vendor's documents; ``str()`` of it is
        for people. Buys nothing and asks no vendor.

        :param model: A model's id, with ``request`` as a dict, or a typed request.
        :raises InvalidRequestError: the request or the connection's prices are wrong.
        """
        from airflow_video_providers.core.purchase.pricing import estimate

        typed = catalogue.find(model).parse(request or {}) if isinstance(model, str) else model
        return estimate(typed, self.settings.extra.get("prices"))

    def refuse_over_limit(self, order: Order) -> None:
        """A bare call, without a ledger, has to pass every limit here: those that only a ledger can count do not let it.

        :raises InvalidRequestError: the connection does not buy this. Nothing was sent.
        """
        self.refuse_if_off()
        order.limits.check(order.cost, model=order.request.id)
        order.limits.refuse_sums(
            "without a ledger a hook cannot count that",
            "Give the hook a ledger (ledger=task_ledger()), buy with SubmitVideoOperator or GenerateVideoOperator, or take the "
            "limit out of the connection's extra.",
            model=order.request.id,
        )

    def callback(self, webhook_url: str | None, webhook_mode: object = "terminal") -> Callback | None:
        """An author's own receiver, checked; None where none is named.

        :raises InvalidRequestError: this vendor has no webhooks, or cannot call that address. Nothing was sent.
        """
        if not webhook_url:
            return None
        from airflow_video_providers.core.callbacks.webhook import checked

        return checked(self.vendor_class, webhook_url, webhook_mode, allowed_hosts=self.settings.allow_private_hosts)

    def send(
        self, order: Order, *, into: str | os.PathLike[str] | None = None, max_bytes: int | None = None
    ) -> VideoJob:
        """The paid call alone, where everything was checked before, and for an operator its intent is stored.

        :param into: Buy on the route that answers with the video itself, and stream it to this file.
        :param max_bytes: That file may not be larger.
        :raises InvalidRequestError: an image of the order is not :meth:`lent`. Nothing was sent.
        """
        if order.lends:
            raise InvalidRequestError(
                "The order's image lies in storage, where the vendor cannot fetch it.",
                remedy="Send hook.lent(order), whose images have addresses.",
            )
        client = self.get_conn()
        if into is None:
            return client.buy(order.request, order.wire, order.callback)
        return client.buy_to_file(order.request, order.wire, into, max_bytes=max_bytes)

    def lent(self, order: Order) -> Order:
        """The order with addresses of its stored images that the vendor can fetch.

        :raises InvalidRequestError: an image cannot be lent. Nothing was bought.
        """
        from airflow_video_providers.core.inputs.lend import loan_for

        return order.lent(self.get_conn(), self.settings, loan=loan_for(None), log=self.plain_log())

    def plain_log(self) -> logging.Logger:
        """Airflow's own, by the same protocol."""
        return cast("logging.Logger", self.log)

    @staticmethod
    def counted(job: VideoJob) -> VideoJob:
        """A job that was bought just now, counted in the metrics."""
        from airflow_video_providers.integration import metrics

        metrics.submitted(job)
        return job
