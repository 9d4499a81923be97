"""Write the README's tables from the code, and hold them to it: ``python scripts/readme.py [--check]``."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_video_providers import catalogue, exceptions, metrics
from airflow_video_providers.get_provider_info import get_provider_info
from airflow_video_providers.models import VideoModel, rule_of
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.simulator.about import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(*rows: tuple[str, ...]) -> str:
    """A Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def models() -> str:
    """One section per model."""
    return table(
        ("model", "class", "required", "optional [what the vendor assumes]", "price"),
        *((f"`{model.id}`", f"`{model.__name__}`", *fields(model), price(model)) for model in catalogue.models().values()),
    )  # fmt: skip


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
            if kind.__module__ == exceptions.__name__:
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


def metric_names() -> str:
    """Every metric."""
    return table(
        ("metric", "kind", "meaning", "tags"),
        *((f"`{m.name}`", m.kind, m.meaning, ", ".join(m.tags)) for m in metrics.METRICS),
    )


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
    "models": models,
    "money faults": kept("tests/faults/money/table.md"),
    "peers": kept("tests/faults/money/peers.md"),
    "landing faults": kept("tests/faults/landing/table.md"),
    "SubmitVideoOperator": parameters(SubmitVideoOperator),
    "VideoJobSensor": parameters(VideoJobSensor),
    "DownloadVideoOperator": parameters(DownloadVideoOperator),
    "GenerateVideoOperator": parameters(GenerateVideoOperator),
    "extra": extra,
    "errors": errors,
    "metrics": metric_names,
    "benchmarks": kept("docs/benchmarks.md"),
    "simulator": simulator,
}


def renewed(text: str) -> str:
    """The README with its generated parts written anew."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{SECTIONS[found[2]]()}\n\n{found[3]}", text)


def main() -> int:
    """Write the README, or with ``--check`` say whether it is what would be written."""
    readme = ROOT / "README.md"
    before = readme.read_text()
    after = renewed(before)
    if "--check" not in sys.argv:
        readme.write_text(after)
    elif before != after:
        print("README.md is not what the code says: run python scripts/readme.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
