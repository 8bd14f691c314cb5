"""What asks as Grafana's Prometheus data source does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.test import Client

from tests.prometheus import snappy, write_request


class Grafana:
    """A client of /api/v1 with a token."""

    def __init__(self, secret: str, scheme: str = "Bearer"):
        self.client = Client(headers={"Authorization": f"{scheme} {secret}"})

    def ask(self, path: str, **given):
        answer = self.client.get(f"/api/v1/{path}", given)
        assert answer.status_code == 200, answer.content
        return answer.json()["data"]

    def refused(self, path: str, **given) -> tuple[int, str, str]:
        answer = self.client.get(f"/api/v1/{path}", given)
        body = answer.json()
        assert body["status"] == "error"
        return answer.status_code, body["errorType"], body["error"]

    def values(self, query: str, moment: datetime) -> dict[str, str]:
        """The values of an instant query by the series' host."""
        found = self.ask("query", query=query, time=moment.timestamp())["result"]
        return {one["metric"].get("host", ""): one["value"][1] for one in found}

    def write(self, series: Iterable[tuple[Mapping[str, str], list[tuple[int, float]]]]) -> None:
        body = snappy(write_request(series).SerializeToString())
        headers = {"Content-Encoding": "snappy"}
        sent = self.client.post("/api/v1/write", body, "application/x-protobuf", headers=headers)
        assert sent.status_code == 204, sent.content
