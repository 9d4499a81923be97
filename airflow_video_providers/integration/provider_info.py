"""What Airflow reads about this provider.

Many processes of Airflow call this at their start, so it imports neither the models nor an HTTP client: what it
repeats of the vendors' classes, a test compares with them.
"""

from __future__ import annotations

from typing import Any

from airflow_video_providers import __version__
from airflow_video_providers.hooks.connection_form import connection_type

_PACKAGE = "airflow_video_providers"

#: Vendor: name, address, hook, documentation, status calls.
_VENDORS: dict[str, tuple[str, str, str, str, tuple[str, ...]]] = {
    "pixazo": (
        "Pixazo", "https://gateway.pixazo.ai", "PixazoHook", "https://www.pixazo.ai/models", ("default", "legacy"),
    ),
    "appypie": (
        "Appy Pie", "https://gateway.appypie.com", "AppyPieHook", "https://www.appypie.com/endpoint/docs/mochi-1", (),
    ),
    "segmind": (
        "Segmind", "https://api.segmind.com", "SegmindHook", "https://www.segmind.com/models/mochi-1/api", (),
    ),
    "fal": ("fal", "https://queue.fal.run", "FalHook", "https://fal.ai/docs", ()),
    "replicate": (
        "Replicate", "https://api.replicate.com", "ReplicateHook", "https://replicate.com/docs/reference/http", (),
    ),
}  # fmt: skip

#: What all vendors share is listed under this name.
_ALL = "AI video"
#: Pages about all vendors, as paths inside of the source distribution.
_GUIDES = [
    f"/docs/how-to/{name}.md"
    for name in (
        "submit",
        "wait",
        "download",
        "generate",
        "images",
        "batch",
        "any-model",
        "hooks",
        "callbacks",
        "test-a-pipeline",
        "certify",
    )
]


def get_provider_info() -> dict[str, Any]:
    """The provider's own description, in the form of Airflow's provider schema."""
    return {
        "package-name": "airflow-video-providers",
        "name": "AI video",
        "description": "Buy AI-generated video, wait for it without a worker, land it whole and verified.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": _ALL, "how-to-guide": _GUIDES, "tags": ["service"]},
            *(
                {
                    "integration-name": title,
                    "external-doc-url": documentation,
                    "how-to-guide": [f"/docs/vendors/{vendor}.md"],
                    "tags": ["service"],
                }
                for vendor, (title, _, _, documentation, _) in _VENDORS.items()
            ),
        ],
        "operators": _modules("operators.video"),
        "sensors": _modules("sensors.video"),
        "triggers": _modules("triggers.video"),
        "hooks": [
            {"integration-name": title, "python-modules": [f"{_PACKAGE}.hooks.{vendor}"]}
            for vendor, (title, *_) in _VENDORS.items()
        ],
        "connection-types": [
            connection_type(vendor, title, base_url, f"{_PACKAGE}.hooks.{vendor}.{hook}", status_routes=routes)
            for vendor, (title, base_url, hook, _, routes) in _VENDORS.items()
        ],
        "extra-links": [
            f"{_PACKAGE}.links.video.{name}" for name in ("ModelDocumentationLink", "LandedVideoLink", "ManifestLink")
        ],
        "cli": [
            *(f"{_PACKAGE}.integration.{name}_cli.get_commands" for name in ("ledger", "models", "certify")),
            f"{_PACKAGE}.plugin.command.get_commands",
        ],
        "config": {"video_providers": {"description": "Options of the AI video provider.", "options": _OPTIONS}},
    }


def _modules(name: str) -> list[dict[str, Any]]:
    return [{"integration-name": _ALL, "python-modules": [f"{_PACKAGE}.{name}"]}]


_OPTIONS = {
    "ledger_path": {
        "description": (
            "Where every purchase is recorded before it is made: a directory that all workers mount, or a prefix in a "
            "bucket with its Airflow connection. Empty: Airflow's own state store, which Airflow has from 3.3 on; "
            "before that, a retry that does not know whether an earlier try has bought then refuses to buy."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "example": "s3://aws_default@bucket/ledger",
        "default": "",
    },
    "callback_url": {
        "description": (
            "The public https address of the receiver of callbacks, airflow video-callbacks or the API server's own. With "
            "callback_secret and ledger_path, submits of vendors that have webhooks ask for a call there, unless callbacks in "
            "the connection's extra is false. Empty: nobody is asked to call, and jobs are polled."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "example": "https://airflow.example.com/video-callbacks",
        "default": "",
    },
    "callback_secret": {
        "description": (
            "What signs the address that a vendor is given: at least 16 characters, the same for workers and receiver. Two, "
            "separated by a comma, while it is changed: the first signs, both are accepted."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "sensitive": True,
        "example": "",
        "default": "",
    },
    "callback_signing_secret_replicate": {
        "description": (
            "The secret with which Replicate signs its calls, whsec_..., as its API gives it at /v1/webhooks/default/secret; of "
            "several accounts, or while it is changed, separated by commas. Empty: Replicate is not asked to call, because "
            "nobody could say whether a call is its own."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "sensitive": True,
        "example": "",
        "default": "",
    },
    "callback_signing_secret_fal": {
        "description": (
            "The public keys with which fal signs its calls (x of its JSON Web Keys), or an https address of a key set, "
            "separated by commas. Empty: the receiver fetches them from rest.fal.ai, once a day."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "example": "https://keys.example.com/fal/jwks.json",
        "default": "",
    },
    "callback_receiver": {
        "description": (
            "Where the receiver runs: api-server mounts it in Airflow's API server at /video-callbacks. Empty: only where "
            "airflow video-callbacks is started."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "example": "api-server",
        "default": "",
    },
    "on_clear": {
        "description": (
            "What clearing a submit does once its job is finished: resubmit buys again, reattach returns the job that "
            "was bought. A job that still runs is kept in both cases."
        ),
        "version_added": "0.1.0",
        "type": "string",
        "example": "reattach",
        "default": "resubmit",
    },
}
