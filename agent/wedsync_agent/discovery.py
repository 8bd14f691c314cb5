"""What runs on the host besides the agent: listening services, containers and exporters, offered as new assets."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import httpx
import psutil

EXPORTER_PORTS = {9100: "node", 9104: "mysqld", 9121: "redis", 9187: "postgres", 9113: "nginx", 9256: "process"}
SOCKETS = (Path("/var/run/docker.sock"), Path("/run/podman/podman.sock"))
MAX_FOUND = 200
MAX_TEXT = 200


def discover() -> list[dict[str, Any]]:
    """Everything that could be found with the agent's rights."""
    return (listening() + containers())[:MAX_FOUND]


def listening() -> list[dict[str, Any]]:
    """Programs that listen on TCP, one entry a program and port."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    with contextlib.suppress(psutil.AccessDenied):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr:
                port = connection.laddr.port
                name = _program(connection.pid)
                kind = "exporter" if port in EXPORTER_PORTS else "service"
                label = EXPORTER_PORTS.get(port) or name
                if label:
                    details = {"port": port, "address": connection.laddr.ip, "program": name}
                    found[label, port] = {"kind": kind, "name": f"{label[:180]}:{port}", "details": details}
    return list(found.values())


def _program(pid: int | None) -> str:
    with contextlib.suppress(psutil.Error):
        return _text(psutil.Process(pid).name()) if pid else ""
    return ""


def _text(said: object) -> str:
    """What a host calls something, as the server takes it: names of programs may hold bytes that are no text."""
    return str(said).encode(errors="replace").decode().replace("\0", "")[:MAX_TEXT]


def containers() -> list[dict[str, Any]]:
    """Running containers, where a Docker or Podman socket may be read."""
    for socket in SOCKETS:
        with (
            contextlib.suppress(httpx.HTTPError, OSError, ValueError),
            httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=5) as http,
        ):
            rows: list[dict[str, Any]] = http.get("http://localhost/containers/json").raise_for_status().json()
            return [_container(row) for row in rows]
    return []


def _container(row: dict[str, Any]) -> dict[str, Any]:
    name = (row.get("Names") or [row.get("Id", "")[:12]])[0].lstrip("/")
    return {
        "kind": "container",
        "name": _text(name),
        "details": {"image": _text(row.get("Image", "")), "state": _text(row.get("State", ""))},
    }
