"""Landing: a finished video goes whole and verified into object storage, or not at all.

Every :class:`~airflow_video_providers.core.errors.DownloadError` raised here carries a ``reason``, a word
that stays the same from release to release:

====================  ======================================================================================
``forbidden_address``  the address is not https, or leads into a private network
``redirects``          too many redirects, or one without a target
``not_a_video``        the first bytes are not those of a video, or of what else the file should be
``media_type``         a video, but not of an accepted type
``malformed``          the container contradicts itself
``truncated``          the container is longer than what came
``digest``             the bytes are not those whose digest the server named
``content_encoding``   the server compressed what must not be compressed
``too_large``          more than ``max_bytes``
``decode``             the container is whole and its frames cannot be decoded
``decoder``            the decoder is missing, crashed or hit its limits: nothing is said about the file
``expired``            lost: the vendor says so, or has long thrown it away
``not_there``          the address serves nothing while the vendor says that the job is finished
``changing``           the file is another one at each read: it is still being written
``refresh``            the address serves nothing, and the vendor could not be asked for a fresh one
``network``            the connection failed again and again
``http``               the server answered with an error again and again
``timeout``            the time for the download is over
``stopped``            another output of the job failed, or the task was stopped
``disk_full``          the worker has no room for the file
``connection``         the Airflow connection is missing or of another kind
``replaced``           another program wrote under the name at the same moment; a retry finds out
``storage``            the storage, or the worker's own disk, cannot be reached or refuses
``conflict``           something else is stored under the final name
``stored``             the storage holds something else than what was sent
====================  ======================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_video_providers.core.landing.keys import check_key_template
    from airflow_video_providers.core.landing.land import Landing, land
    from airflow_video_providers.core.landing.manifest import manifest_schema

__all__ = ["Landing", "check_key_template", "land", "manifest_schema"]

_HOMES = {"Landing": "land", "land": "land", "check_key_template": "keys", "manifest_schema": "manifest"}


def __getattr__(name: str) -> Any:
    """Import on first use: a DAG file that names an operator must not load an HTTP client at parse time."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from contextlib import suppress
    from importlib import import_module

    with suppress(ImportError):  # without Airflow: fsspec's own storages, with the machine's own credentials
        import_module("airflow_video_providers.integration.object_storage")
    return getattr(import_module(f"airflow_video_providers.core.landing.{_HOMES[name]}"), name)
