"""The OpenAPI document of any model of an aggregator. All of it is invented: no source holds a real one."""

from __future__ import annotations

from typing import Any

OPENAPI: dict[str, Any] = {
    "openapi": "3.0.0",
    "components": {
        "schemas": {
            "Output": {"type": "object"},
            "Element": {
                "type": "object",
                "properties": {"image_url": {"type": "string"}, "weight": {"type": "number", "minimum": 0}},
                "required": ["image_url"],
            },
            "MagicaInput": {
                "type": "object",
                "title": "Input",
                "properties": {
                    "prompt": {"type": "string", "description": "What the video shows."},
                    "duration": {"type": "string", "enum": ["5", "10"], "default": "5"},
                    "seed": {"type": "integer", "nullable": True},
                    "elements": {"type": "array", "items": {"$ref": "#/components/schemas/Element"}},
                },
                "required": ["prompt"],
            },
        }
    },
}
PRICE = {"unit_price": 0.05, "unit": "seconds", "currency": "USD"}
