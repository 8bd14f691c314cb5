"""POST /api/monitoring/metrics in the words of OpenAPI: the view is outside DRF, which cannot describe it. Pure."""

from __future__ import annotations

from typing import Any

_SAMPLE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["metric_name", "metric_value"],
    "properties": {
        "asset_id": {"type": ["string", "null"], "description": "An asset's id or name; an agent's own if left out."},
        "asset_name": {"type": ["string", "null"]},
        "metric_name": {"type": "string"},
        "metric_value": {"type": "number"},
        "metric_type": {"type": "string", "default": "gauge"},
        "metric_unit": {"type": ["string", "null"]},
        "metric_labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "collection_timestamp": {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}, {"type": "null"}],
            "description": "ISO 8601 or seconds since 1970; now if left out.",
        },
        "collection_method": {"type": "string", "default": "push"},
        "data_quality_score": {"type": "number", "default": 1},
    },
}
_MANY = {
    "type": "object",
    "additionalProperties": False,
    "required": ["metrics"],
    "properties": {"metrics": {"type": "array", "items": _SAMPLE}},
}
_REFUSAL = {
    "type": "object",
    "required": ["index", "field", "reason"],
    "properties": {"index": {"type": "integer"}, "field": {"type": "string"}, "reason": {"type": "string"}},
}
_TAKEN = {
    "type": "object",
    "required": ["success", "accepted", "rejected"],
    "properties": {
        "success": {"type": "boolean"},
        "accepted": {"type": "integer"},
        "rejected": {"type": "array", "items": _REFUSAL, "description": "By index, at most 1000."},
        "rejected_total": {"type": "integer", "description": "How many were refused in all; left out where none was."},
    },
}
OPERATIONS: dict[str, dict[str, Any]] = {
    "post": {
        "operationId": "metrics_create",
        "tags": ["metrics"],
        "description": "Send one sample or many. What does not fit is refused by itself; the rest is kept.",
        "security": [{"agentKey": []}, {"token": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"oneOf": [_SAMPLE, _MANY]}},
                "application/msgpack": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        "responses": {
            "200": {"description": "Stored.", "content": {"application/json": {"schema": _TAKEN}}},
        },
    }
}
