"""Callbacks in Airflow's configuration: where the receiver is, what signs its addresses, and where its mail is kept.

::

    [video_providers]
    ledger_path = s3://aws_default@bucket/ledger
    callback_url = https://airflow.example.com/video-callbacks
    callback_secret = <at least 16 characters>
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.callbacks.token import LONGEST, Claim, address, issue
from airflow_video_providers.core.callbacks.webhook import LONGEST_ADDRESS, Callback, checked
from airflow_video_providers.core.errors import InvalidRequestError, LedgerError
from airflow_video_providers.core.polling.mailbox import Mailbox
from airflow_video_providers.core.vendors.base import Vendor
from airflow_video_providers.integration.callback_keys import verifiable
from airflow_video_providers.integration.ledger_config import SECTION, ledger_path, open_directory, option

if TYPE_CHECKING:
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.core.settings import Settings

#: A shorter secret can be guessed from one address that somebody has read.
SHORTEST_SECRET = 16
#: Where the receiver is mounted in the API server, if the configuration says so.
MOUNTED_AT = "/video-callbacks"


@dataclass(frozen=True)
class Receiver:
    """Our receiver, as submits name it.

    :param url: Its public address.
    :param secret: What signs.
    :param resolve_within: Seconds for which a lost answer waits for a call.
    """

    url: str
    secret: str = field(repr=False)
    resolve_within: float

    def callback_for(self, attempt: Attempt) -> Callback | None:
        """The address for one attempt; None where its names are too long for an address."""
        token = issue(Claim.of(attempt), self.secret)
        whole = address(self.url, token)
        return Callback(whole) if len(token) <= LONGEST and len(whole) <= LONGEST_ADDRESS else None


def secrets() -> list[str]:
    """``[video_providers] callback_secret``: the one that signs first, and all that are accepted.

    :raises InvalidRequestError: one is too short. Its text is never repeated.
    """
    found = [part.strip() for part in re.split(r"[,\n]", option("callback_secret")) if part.strip()]
    if any(len(secret) < SHORTEST_SECRET for secret in found) or len(found) > 2:
        raise InvalidRequestError(
            f"[{SECTION}] callback_secret holds a secret of fewer than {SHORTEST_SECRET} characters, or more than two.",
            remedy='Make one with `python -c "import secrets; print(secrets.token_urlsafe(32))"`, the same for workers and '
            "receiver.",
            field="callback_secret",
            allowed=f"one or two of at least {SHORTEST_SECRET} characters, separated by a comma",
        )
    return found


def receiver_for(vendor: type[Vendor], settings: Settings, resolve_within: float) -> Receiver | None:
    """Our receiver, where this connection's submits ask for calls; None where nobody is asked to call.

    :raises InvalidRequestError: the configuration names one that cannot be called, or a secret that is too short.
    """
    url = option("callback_url")
    if not url or not ledger_path() or not vendor.webhook_modes or not settings.callbacks or not (known := secrets()):
        return None
    if not verifiable(vendor):
        return None  # nobody here could say whether a call is the vendor's own
    mode = "terminal"
    checked(vendor, url, mode, allowed_hosts=settings.allow_private_hosts, field="callback_url")
    checkable = vendor.is_of_model is not Vendor.is_of_model  # else no id that a call names is ever believed
    return Receiver(_served(url), known[0], resolve_within if checkable else 0.0)


def _served(url: str) -> str:
    """The address as whoever serves it knows it: the API server redirects a mount's path without the last slash, and no
    vendor says that its calls follow.
    """
    mounted = option("callback_receiver") == "api-server" and url.endswith(MOUNTED_AT)
    return f"{url}/" if mounted else url


def drop_mail(job: VideoJob, log: Any) -> None:
    """Remove the calls about a job that has ended and stands in the ledger. Nothing depends on it: mail has an end."""
    if job.callback_until is None or job.receipt_due is not None or not job.conn_id:
        return
    try:
        if (mailbox := open_mailbox(job.conn_id)) is not None:
            mailbox.drop(job.vendor, job.request_id)
    except LedgerError as failure:
        log.info("%s Calls about job %s stay until their time is over.", failure.what, job.request_id)


def open_mailbox(conn_id: str) -> Mailbox | None:
    """The mail of a connection; None without ``ledger_path``. Blocking.

    :raises LedgerError: the directory cannot be opened.
    """
    path = ledger_path()
    return Mailbox(open_directory(path), conn_id) if path else None


async def aopen_mailbox(conn_id: str) -> Mailbox:
    """:func:`open_mailbox` from an event loop.

    :raises LookupError: there is none.
    """
    from asgiref.sync import sync_to_async

    mailbox = await sync_to_async(open_mailbox)(conn_id)  # it may look a connection up, by the loop's own channel
    if mailbox is None:
        raise LookupError(f"[{SECTION}] ledger_path is not set here, as it is where the job was bought")
    return mailbox
