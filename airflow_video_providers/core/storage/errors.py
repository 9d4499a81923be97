"""What a storage's refusal means: the storage's own code, what to do about it, and whether a retry can help."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import LandingError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CREDENTIALS = "Renew the credentials in the Airflow connection"
_CLOCK = "Correct the worker's clock: the storage refuses a signature that is minutes off"
_REGION = "Name the bucket's own region in the Airflow connection"
_THERE = "Create it, or correct output_path"
_RIGHTS = "Let the connection's account read and write there, and renew a signature or key that is over"
_NO_CREATE = (
    "This storage cannot write only where nothing is (If-None-Match): land with overwrite=True, at a path where nobody "
    "else writes"
)
_ROOM = "Make room there, or raise its quota"

#: By the storage's own code: the remedy, and whether a retry can help without somebody's hand.
_CODES: dict[str, tuple[str, bool]] = {
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId",
         "SignatureDoesNotMatch", "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation",
         "InvalidSecurity", "UnrecognizedClientException", "InvalidClientTokenId", "authError", "NotSignedUp"),
        (_CREDENTIALS, False),
    ),
    "RequestTimeTooSkewed": (_CLOCK, False),
    **dict.fromkeys(
        ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "301"), (_REGION, False)
    ),
    **dict.fromkeys(("NoSuchBucket", "ContainerNotFound", "notFound", "404", "InvalidBucketName"), (_THERE, False)),
    **dict.fromkeys(
        ("AccessDenied", "AllAccessDisabled", "AuthorizationFailure", "AuthorizationPermissionMismatch", "forbidden",
         "AuthorizationSourceIPMismatch", "InsufficientAccountPermissions", "AccountIsDisabled", "403"),
        (_RIGHTS, False),
    ),
    **dict.fromkeys(
        ("QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "storageQuotaExceeded", "507", "ENOSPC", "EDQUOT"),
        (_ROOM, True),
    ),
    **dict.fromkeys(("NotImplemented", "501"), (_NO_CREATE, False)),
}  # fmt: skip
_FORBIDDEN = {
    "AccessDenied",
    "AuthorizationFailure",
    "AuthorizationPermissionMismatch",
    "forbidden",
    "403",
    "Forbidden",
}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
#: What a signed address or an authorization header looks like in a library's text.
_SECRET = re.compile(r"(?i)((?:sig|signature|token|credential|accountkey|x-amz-[a-z-]+)=)[^&\s\"']+")


def chain(failed: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it: the libraries wrap what the storage said."""
    seen: set[int] = set()
    while failed is not None and id(failed) not in seen:
        seen.add(id(failed))
        yield failed
        failed = failed.__cause__ or failed.__context__


def code_of(failed: BaseException) -> str | None:
    """The storage's own code of a refusal, or the HTTP status as text; None where nobody answered."""
    status = None
    for error in chain(failed):
        response: Any = getattr(error, "response", None)
        if isinstance(response, dict):  # botocore
            given = str(response.get("Error", {}).get("Code") or "")
            if given and not given.isdigit():
                return given
            status = status or given or str(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or "")
        if getattr(error, "error_code", None):  # azure
            return str(getattr(error.error_code, "value", error.error_code))  # type: ignore[attr-defined]
        for name in ("status_code", "code"):  # azure, gcsfs
            value = getattr(error, name, None)
            if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
                status = status or str(value)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return errno.errorcode[error.errno]
    if status is None and any(_says_forbidden(error) for error in chain(failed)):
        return "403"
    return status or None


def _says_forbidden(error: BaseException) -> bool:
    return isinstance(error, PermissionError) or (isinstance(error, OSError) and str(error).startswith("Forbidden"))


def is_forbidden(failed: BaseException) -> bool:
    """Did the storage say only that this account may not ask? Then nothing is known of what it holds."""
    return code_of(failed) in _FORBIDDEN


def refused(what: str, failed: BaseException, *, code: str | None = None) -> LandingError:
    """The error for a storage that refuses.

    :param what: What could not be done, without a full stop.
    :param code: The storage's own code, where a further question found it.
    """
    code = code or code_of(failed)
    remedy, retryable = _CODES.get(code or "", ("", True))
    said = _SECRET.sub(r"\1***", _UNPRINTABLE.sub(" ", str(failed))).strip()
    text = f"{what}: {code or type(failed).__name__}" + (f" ({said[:200]})" if said and said != code else "")
    return LandingError(
        f"{text}.", reason="storage", retryable=retryable,
        remedy=f"{remedy}, then run the download again: the job is paid for and is not bought again." if remedy else None,
    )  # fmt: skip
