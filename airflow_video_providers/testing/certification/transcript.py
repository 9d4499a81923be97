"""A transcript: the exchanges of one real purchase, reduced, as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.output_shapes import find_status

#: A transcript is some kilobytes; something larger is not read.
_LARGEST = 4 * 1024 * 1024
#: Those that ship: what they certify, the vendors' pages say.
SHIPPED = Path(__file__).parent / "transcripts"
#: ``output`` is no call of the API: a file of the finished job.
Verb = Literal["submit", "status", "history", "output"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Question(_Record):
    """A request.

    :param path: Below the vendor's own address, with ``{id}`` for the job's id.
    :param query: The names in its query, no values.
    """

    method: str
    path: str
    query: list[str] = []
    headers: dict[str, str] = {}
    body: Any = None


class Reply(_Record):
    """An answer.

    :param body: The JSON, or a text's beginning.
    """

    http: int
    headers: dict[str, str] = {}
    body: Any = None


class Exchange(_Record):
    """A request and what came of it.

    :param step: Which call of the verb it is: a vendor may ask for a status and then for a result.
    :param error: Why there is no answer.
    """

    verb: Verb
    step: int = 0
    request: Question | None = None
    answer: Reply | None = None
    error: str | None = None


class Pinned(_Record):
    """The schema file that the request was made by, beside what the vendor shows of the model.

    :param fetched: The day on which the file was fetched.
    :param changes: What the vendor shows otherwise, a line for each field; the price line is one.
    :param unread: Why the vendor's own could not be read.
    """

    fetched: str
    changes: list[str] = []
    unread: str | None = None


class Transcript(_Record):
    """One certification.

    :param address: The API's own address that was called.
    :param request: The model's fields, as they were given.
    :param headers: What the vendor's file sent in headers of its own.
    :param complete: Was a clip bought, finished and landed?
    :param job: How it ended.
    :param files: What landed, by size, digest and media type.
    :param pinned: Of a request that was made by a pinned schema.
    :param trouble: What went wrong, where something did.
    """

    format: Literal[1] = 1
    vendor: str
    model: str
    address: str
    status_route: str = "default"
    certified_on: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    package: str
    request: dict[str, Any] = {}
    exchanges: list[Exchange] = []
    complete: bool = False
    job: dict[str, Any] = {}
    files: list[dict[str, Any]] = []
    pinned: Pinned | None = None
    trouble: str | None = None

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The transcript in a file.

        :raises InvalidRequestError: there is none.
        """
        place = Path(path)
        try:
            with place.open("rb") as file:
                return cls.model_validate_json(file.read(_LARGEST))  # a longer one ends within its JSON
        except ValidationError as wrong:
            first = wrong.errors(include_url=False, include_input=False)[0]
            why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")
        except (OSError, ValueError) as wrong:
            why = f"{type(wrong).__name__}: {wrong}"
        raise InvalidRequestError(
            f"{place} is no transcript that can be read ({why:.200}).",
            remedy="Name a file that airflow video-certify has written.",
            field="--offline",
            value=str(place),
        )

    def text(self) -> str:
        """The file's content."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False) + "\n"

    @property
    def outputs(self) -> list[Exchange]:
        """The files that landed, as what the vendor served."""
        kinds = [str(one["content_type"]) for one in self.files if one.get("content_type")]
        return [
            Exchange(verb="output", step=step, answer=Reply(http=200, headers={"content-type": kind}))
            for step, kind in enumerate(kinds)
        ]

    @property
    def certifies(self) -> bool:
        """Does it say something about the vendor itself? Not where it called a simulator, or came to no end."""
        vendor = catalogue.vendors().get(self.vendor)
        return vendor is not None and self.complete and self.address.rstrip("/") == vendor.base_url.rstrip("/")


def word_in(vendor: str, answer: Reply | None) -> str | None:
    """The vendor's own status word in an answer."""
    kind = catalogue.vendors().get(vendor)
    body = answer.body if answer is not None and isinstance(answer.body, dict) else None
    found = find_status(body, kind.words, kind.status_paths) if kind is not None else None
    return None if found is None else found[1]


def kind_of(vendor: str, answer: Reply) -> str:
    """What an answer is about: the state that it names, or else its HTTP code's class."""
    kind = catalogue.vendors().get(vendor)
    body = answer.body if isinstance(answer.body, dict) else None
    if answer.http < 400 or (kind is not None and answer.http in kind.failure_codes):
        found = find_status(body, kind.words, kind.status_paths) if kind is not None else None
        return "answered" if found is None else str(found[0])
    return f"HTTP {answer.http}"


def certified(folder: Path = SHIPPED) -> dict[str, str]:
    """The day on which each vendor was certified last, by its id.

    :raises InvalidRequestError: a file in the folder is no transcript.
    """
    days: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        one = Transcript.read(path)
        if one.certifies:
            days[one.vendor] = max(one.certified_on, days.get(one.vendor, ""))
    return days
