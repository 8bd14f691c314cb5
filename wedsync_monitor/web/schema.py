"""How the OpenAPI schema is made: the error responses and structured columns that every endpoint shares."""

from drf_spectacular.openapi import AutoSchema


class MonitoringSchema(AutoSchema):
    """Tags operations by the first part of their path after /api/monitoring/."""

    def get_tags(self) -> list[str]:
        parts = self.path.removeprefix("/api/monitoring/").split("/")
        return [parts[0]] if parts[0] else ["monitoring"]
