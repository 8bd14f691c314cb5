"""How the OpenAPI schema is made: the error responses and structured columns that every endpoint shares."""

from typing import Any

from drf_spectacular.openapi import AutoSchema


class MonitoringSchema(AutoSchema):
    """Tags operations by the first part of their path after /api/monitoring/."""

    def get_tags(self) -> list[str]:
        parts = self.path.removeprefix("/api/monitoring/").split("/")
        return [parts[0]] if parts[0] else ["monitoring"]

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        return bodies
