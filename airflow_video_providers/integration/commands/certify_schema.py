"""``video-certify`` with a pinned schema: does the vendor still show of the model what the file says?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.purchase.pricing import estimate
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.integration.commands.schemas import changes_since, shown_now
from airflow_video_providers.testing.certification.transcript import Pinned

if TYPE_CHECKING:
    from airflow_video_providers.core.vendors.schema_files import SchemaFile
    from airflow_video_providers.integration.commands.certify_plan import Plan
    from airflow_video_providers.testing.certification.redaction import Reduction


@dataclass
class Schema:
    """The plan's pinned schema, and the vendor's own of this moment.

    :param now: What the vendor shows; None where it was not asked, or did not say.
    :param unread: Why it did not say.
    """

    plan: Plan
    now: SchemaFile | None = None
    unread: VideoProviderError | None = None

    def ask(self) -> None:
        """Ask the vendor, free of charge. Where it does not say, all goes on as it was planned."""
        if self.plan.schema is None:
            return
        try:
            self.now = shown_now(self.plan.hook, self.plan.request.id)
        except VideoProviderError as error:
            self.unread = error

    def refuse_stale(self) -> None:
        """Refuse to buy what the vendor no longer takes, or what costs more than was said.

        :raises InvalidRequestError: so it is. Nothing was bought.
        """
        planned = self.plan.cost.usd
        if self.now is None or planned is None:
            return
        request = catalogue.find(self.plan.request.id, schema=self.now).parse(self.plan.request.body())
        cost = estimate(request, self.plan.hook.settings.extra.get("prices"))
        if cost.usd is None or cost.usd > planned:
            raise InvalidRequestError(
                f"By what the vendor shows now this clip costs {cost}; {self.plan.cost} was said.",
                remedy=f"Fetch the schema anew (airflow video-models fetch {self.plan.request.id} --overwrite) and run it again.",
                field="--schema",
                model=self.plan.request.id,
            )

    def record(self, reduction: Reduction) -> Pinned | None:
        """What the transcript holds of it."""
        pinned = self.plan.schema
        if pinned is None or (self.now is None and self.unread is None):
            return None
        changes = [] if self.now is None else changes_since(pinned, self.now)
        why = None if self.unread is None else f"{type(self.unread).__name__}: {self.unread.what}"
        return Pinned(
            fetched=reduction.text(pinned.fetched),
            changes=[reduction.text(line) for line in changes],
            unread=None if why is None else reduction.text(why),
        )
