"""What a download says of itself to a file host."""

from __future__ import annotations

from airflow_video_providers.core.errors import InvalidRequestError

USER_AGENT = "airflow-video-providers"


def check_user_agent(text: str | None) -> None:
    """Is it one line that a header can hold?

    :raises InvalidRequestError: if it is not. Nothing was sent.
    """
    if text is None or (isinstance(text, str) and 0 < len(text) <= 300 and text.isascii() and text.isprintable()):
        return
    raise InvalidRequestError(
        "The User-Agent for downloads is no line of up to 300 printable ASCII characters.",
        field="download_user_agent",
        allowed="for example Mozilla/5.0",
    )
