"""Write what README and docs show of the code, and hold them to it: ``python scripts/docs.py [--check]``.

A page marks the place with ``<!-- generated: NAME -->`` and ``<!-- end -->``; :data:`SECTIONS` says what stands there.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_video_providers import landing
from airflow_video_providers.core import errors as exceptions
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.landing.keys import Keys
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.models import VideoModel, rule_of
from airflow_video_providers.integration import metrics
from airflow_video_providers.integration.certify_cli import COMMAND as CERTIFY
from airflow_video_providers.integration.ledger_cli import GROUP as LEDGER_COMMANDS
from airflow_video_providers.integration.models_cli import GROUP as MODELS_COMMANDS
from airflow_video_providers.integration.provider_info import get_provider_info
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.certification.transcript import certified
from airflow_video_providers.testing.conformance import CHECKS
from airflow_video_providers.testing.simulator.about import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_video_providers.integration.commands import Command, Group

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(*rows: tuple[str, ...]) -> str:
    """A Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def models(vendor: str) -> Callable[[], str]:
    """One row per model of a vendor."""

    def written() -> str:
        found = [model for model in catalogue.models().values() if catalogue.vendor_of(model.id).id == vendor]
        return table(
            ("model", "class", "required", "optional [what the vendor assumes]", "price"),
            *((f"`{model.id}`", f"`{model.__name__}`", *fields(model), price(model)) for model in found),
        )

    return written


def model_ids() -> str:
    """Every model on one line."""
    return ", ".join(f"`{name}`" for name in catalogue.models()) + "."


def vendor(name: str) -> Callable[[], str]:
    """What a vendor's file says about it."""

    def written() -> str:
        kind = catalogue.vendors()[name]
        shortest, longest = kind.poll_seconds
        asked = kind.documented_poll_seconds
        charged = [f"{status}: {kind.charged.get(status, 'unknown')}" for status in JobStatus if status.terminal]
        return table(
            ("fact", "value"),
            ("connection type, default id", f"`{name}`, `{name}_default`"),
            ("address", f"`{kind.base_url}`"),
            ("header of the key", f"`{kind.key_header}`"),
            ("documentation", kind.documentation),
            ("what stands here is", standing(name)),
            ("poll interval", f"{shortest:g} to {longest:g} s"
             + (f"; the documents ask for at least {asked:g} s" if asked else "")),
            ("requests per minute, by default", f"{kind.requests_per_minute:g}"),
            ("how long a job is kept", f"{kind.retention} (h:m:s)" if kind.retention else "not documented"),
            ("status routes", ", ".join(f"`{route}`" for route in kind.status_routes)),
            ("HTTP codes for an empty account", ", ".join(map(str, sorted(kind.no_credits)))),
            ("charged, by final status", "; ".join(charged)),
        )  # fmt: skip

    return written


def standing(name: str, days: Mapping[str, str] | None = None) -> str:
    """Is a vendor known from its documents alone, or was a real clip bought of it?

    :param days: When each was certified; by default what ships says.
    """
    day = (certified() if days is None else days).get(name)
    return "documented" if day is None else f"certified on {day}"


def vendors(days: Mapping[str, str] | None = None) -> str:
    """All vendors, and what they are known from."""
    known = catalogue.vendors().values()
    rows = (
        (f"[{kind.title}](../vendors/{kind.id}.md)", f"`{kind.base_url}`", standing(kind.id, days)) for kind in known
    )
    return table(("vendor", "address", "known as"), *rows)


def configuration() -> str:
    """The options of the provider's section."""
    options = get_provider_info()["config"]["video_providers"]["options"]
    rows = ((f"`{name}`", each["description"], f"`{each['default']}`" if each["default"] else "empty")
            for name, each in options.items())  # fmt: skip
    return table(("option", "meaning", "default"), *rows)


def reasons() -> str:
    """The words that a DownloadError's ``reason`` may be."""
    found = re.findall(r"^``(\w+)`` +(\S.*)$", landing.__doc__ or "", re.MULTILINE)
    return table(("reason", "meaning"), *((f"`{word}`", meaning) for word, meaning in found))


def layout() -> str:
    """Where a job lands by default."""
    bought = datetime(2026, 11, 21, tzinfo=UTC)
    keys = Keys(VideoJob(model="pixazo:mochi-v1", request_id="mochi-v1_01a1fca4", submitted_at=bought))
    return f"```text\n{keys.output(0, 'mp4')}\n{keys.manifest}\n```"


def checks() -> str:
    """The conformance suite."""
    return table(("check", "why"), *((f"`{check.__name__}`", check.__doc__ or "") for check in CHECKS))


def fields(model: type[VideoModel]) -> tuple[str, str]:
    """The required and the optional fields in words."""
    needed, free = [], []
    for name, info in model.model_fields.items():
        schema = model.describe(name)
        rule = rule_of(model, name)
        for value in schema.get("disputed", {}):
            rule = rule.replace(str(value), f"{value}*")
        unit = f" {schema['unit']}" if "unit" in schema else ""
        text = f"`{name}`" if rule == "text" else f"`{name}`: {rule}{unit}"
        if "vendor_default" in schema:
            text += f" [{str(schema['vendor_default']).lower()}]"
        (needed if info.is_required() else free).append(text)
    return "; ".join(needed), "; ".join(free)


def price(model: type[VideoModel]) -> str:
    """The documented price."""
    if not model.prices:
        return "not documented"
    amounts = [line.usd for line in model.prices]
    span = f"${min(amounts)}" if min(amounts) == max(amounts) else f"${min(amounts)} to ${max(amounts)}"
    return f"{span} per {model.prices[0].per}"


def parameters(of: type) -> Callable[[], str]:
    """The parameters of an operator, from its docstring."""

    def written() -> str:
        text = inspect.cleandoc(of.__doc__ or "")
        found = re.findall(r"^:param (\w+): (.+?)(?=^:|\Z)", text, re.DOTALL | re.MULTILINE)
        rows = ((f"`{name}`", re.sub(r":\w+:`(\w+)`", r"`\1`", " ".join(words.split()).replace("``", "`")))
                for name, words in found)  # fmt: skip
        return table(("parameter", "meaning"), *rows)

    return written


def errors() -> str:
    """The leaves of the error tree."""

    def leaves(of: type[exceptions.VideoProviderError]) -> Iterator[type[exceptions.VideoProviderError]]:
        for kind in of.__subclasses__():
            if vars(exceptions).get(kind.__name__) is kind:
                yield kind
                yield from leaves(kind)

    rows = []
    for kind in leaves(exceptions.VideoProviderError):
        if kind.default_remedy:
            cause = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
            rows.append((f"`{kind.__name__}`", cause, kind.default_charged, "yes" if kind.retryable else "no",
                         kind.default_remedy))  # fmt: skip
    return table(("error", "cause", "charged", "retried", "remedy"), *rows)


def extra() -> str:
    """The fields of a connection's extra, from the connection form."""
    rows: dict[str, str] = {}
    for kind in get_provider_info()["connection-types"]:
        for name, form in kind["conn-fields"].items():
            rows.setdefault(name, str(form.get("description") or form["schema"].get("description") or form["label"]))
    return table(("extra", "meaning"), *((f"`{name}`", meaning) for name, meaning in rows.items()))


def price_list() -> str:
    """A connection with the printed price list of one model."""
    model = catalogue.find("pixazo:pixverse-v6-image-to-video")
    rows = [
        json.dumps({"usd": float(line.usd), "per": line.per, "when": dict(line.when)}, ensure_ascii=False)
        for line in model.prices
    ]
    listed = ",\n    ".join(rows)
    return (
        "```json\n"
        f'{{"conn_type": "pixazo", "password": "YOUR_API_KEY", "extra": {{"prices": {{\n  "{model.id}": [\n    {listed}\n'
        "  ]\n}}}\n```"
    )


def metric_names() -> str:
    """Every metric."""
    return table(
        ("metric", "kind", "meaning", "tags"),
        *((f"`{m.name}`", m.kind, m.meaning, ", ".join(m.tags)) for m in metrics.METRICS),
    )


def commands(group: Group) -> Callable[[], str]:
    """Every command of a group with its arguments."""

    def written() -> str:
        return "\n\n".join(f"### {group.name} {command.name}\n\n{described(command)}" for command in group.commands)

    return written


def described(command: Command) -> str:
    """A command with its arguments."""
    rows = []
    for flags, options in command.arguments:
        name = flags[0] if flags[0].startswith("-") else options.get("metavar", flags[0].upper())
        value = options.get("metavar") or ("|".join(options["choices"]) if "choices" in options else "")
        takes = flags[0].startswith("-") and "action" not in options
        shown = f"{name} {value or flags[0].lstrip('-').replace('-', '_').upper()}" if takes else name
        rows.append((f"`{shown}`", options.get("help", "").replace("%%", "%")))
    return f"{command.help[0].upper()}{command.help[1:]}.\n\n{table(('argument', 'meaning'), *rows)}"


def simulator() -> str:
    """Where each behaviour of the simulator comes from."""
    start = SOURCES.index("checked, from")
    return f"```text\n{SOURCES[start : SOURCES.index('what happened:')].strip()}\n```"


def kept(*names: str) -> Callable[[], str]:
    """What a command has printed and a file keeps."""

    def read() -> str:
        return "\n\n".join((ROOT / name).read_text().strip() for name in names)

    return read


SECTIONS: dict[str, Callable[[], str]] = {
    "demo": kept("docs/demo.md"),
    "model ids": model_ids,
    **{f"models of {name}": models(name) for name in catalogue.vendors()},
    **{f"vendor {name}": vendor(name) for name in catalogue.vendors()},
    "SubmitVideoOperator": parameters(SubmitVideoOperator),
    "VideoJobSensor": parameters(VideoJobSensor),
    "DownloadVideoOperator": parameters(DownloadVideoOperator),
    "GenerateVideoOperator": parameters(GenerateVideoOperator),
    "configuration": configuration,
    "extra": extra,
    "price list": price_list,
    **{f"commands of {group.name}": commands(group) for group in (LEDGER_COMMANDS, MODELS_COMMANDS)},
    "command video-certify": lambda: described(CERTIFY),
    "vendors": vendors,
    "errors": errors,
    "reasons": reasons,
    "metrics": metric_names,
    "checks": checks,
    "layout": layout,
    "simulator": simulator,
}


def pages() -> list[Path]:
    """Everything that is written by hand for people: the front door, and the site."""
    front = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    return [*front, *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name not in PRINTED)]


#: What programs have printed: shown by other pages, not pages.
PRINTED = {"demo.md", "benchmarks.md"}


def renewed(text: str) -> str:
    """A page with its generated parts written anew."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{SECTIONS[found[2]]()}\n\n{found[3]}", text)


def main() -> int:
    """Write the pages, or with ``--check`` say which are not what would be written."""
    wrong = []
    for page in pages():
        before = page.read_text()
        after = renewed(before)
        if "--check" not in sys.argv:
            page.write_text(after)
        elif before != after:
            wrong.append(str(page.relative_to(ROOT)))
    if wrong:
        print(f"Not what the code says: {', '.join(wrong)}. Run python scripts/docs.py")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
