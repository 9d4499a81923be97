"""``python -m airflow_video_providers.testing.simulator``"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

from .about import EPILOG
from .app import Simulator
from .options import Options, Range
from .server import bind, make_server


def _range(text: str) -> Range:
    low, _, high = text.partition("-")
    try:
        found = float(low), float(high or low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not seconds, such as 2 or 0.5-3") from None
    if not 0 <= found[0] <= found[1]:
        raise argparse.ArgumentTypeError(f"{text!r} does not run from low to high")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_video_providers.testing.simulator",
        description="Pixazo, Appy Pie and Segmind on one port, without money: for testing pipelines.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    add("--port", type=int, default=8099, help="port to listen on; 0: a free one (8099)")
    add("--profile", choices=("fast", "real"), help="latency: queue 0.1-1 s and run 0.5-3 s, or as long as the vendors")
    add("--queue-seconds", type=_range, metavar="LOW-HIGH", help="queue time instead of the profile's")
    add("--run-seconds", type=_range, metavar="LOW-HIGH", help="run time instead of the profile's")
    add("--frozen-clock", action="store_true", help="time moves by POST /_sim/advance only")
    add("--credits", type=float, help="what each vendor's wallet holds (1000)")
    add("--outputs", type=int, help="videos per Pixazo job (1)")
    add("--ttl", type=float, metavar="SECONDS", help="after this Segmind forgets a request (3600)")
    add("--media-ttl", type=float, metavar="SECONDS", help="after this a media URL answers 403 (never)")
    add("--rpm", type=int, help="requests per minute and key; more get 429 (any number)")
    add("--key", action="append", dest="keys", help="accept this API key only; may be repeated (any not like 'bad...')")
    add("--allow-http-webhooks", action="store_true", help="take http:// webhook URLs, too")
    add(
        "--webhook-route", action="append", dest="webhook_routes", metavar="HOST=ADDRESS:PORT",
        help="send callbacks to this https host over http to that address instead; may be repeated",
    )  # fmt: skip
    add(
        "--webhook-attempts", type=float, nargs="+", metavar="SECONDS",
        help="pause before each attempt at a callback that nobody has taken (0 1 5)",
    )  # fmt: skip
    add("--known-as", action="append", dest="hosts", metavar="NAME", help="one more host name that it answers to")
    add("--state", type=Path, metavar="FILE", help="keep what was sold in this file, and go on from it (forget)")
    add("--seed", type=int, help="decides queue and run times (0)")
    add("--unknown-fields", choices=("refuse", "ignore"), help="fields that no document lists (refuse)")
    add("--pixazo-submit-status", type=int, choices=(200, 202), help="as the code table says, or 200 (202)")
    add("--no-charge-failed", dest="charge_failed", action="store_false", help="FAILED is free at Pixazo and Appy Pie")
    add("--appypie-dead-prefix", choices=("none", "plain", "polling"), help="the getStatus prefix that answers 404")
    add("--segmind-result", choices=("json", "video"), help="what Segmind's v2 result is")
    add("--segmind-sync-answer", choices=("video", "json", "image/jpeg"), help="what Segmind's v1 answers with")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run until interrupted."""
    given: dict[str, Any] = vars(_parser().parse_args(arguments))
    host, port, state = given.pop("host"), given.pop("port"), given.pop("state", None)
    try:
        app = Simulator(Options().replace(**given), listening=host, state=state)
        bound = bind(host, port)
    except (OSError, ValueError) as error:
        print(f"The simulator cannot start on {host}:{port}: {error}", file=sys.stderr)
        return 1
    with bound:
        bound.listen(128)  # what connects from now on is served as soon as the server runs
        shown = f"[{host}]" if ":" in host else host
        print(f"listening on http://{shown}:{bound.getsockname()[1]}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            make_server(app).run([bound])
    return 0


if __name__ == "__main__":
    sys.exit(main())
