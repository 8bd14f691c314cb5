"""What the agent is told: by its environment where the server is, by the server what to collect."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wedsync_agent.guard import Network

DEFAULT_COLLECTORS = ("cpu", "memory", "swap", "disk", "disk_io", "network", "load", "processes", "services")


@dataclass(frozen=True)
class Local:
    """The host's side: where the server is, and where keys and spool are kept."""

    server: str
    key_file: Path
    spool: Path
    ca_file: str | None = None
    max_spool_bytes: int = 256 * 1024 * 1024
    allowed_networks: tuple[Network, ...] = ()  # private ones that checks may reach

    @classmethod
    def from_environment(cls) -> Local:
        """Raises SystemExit with what is missing."""
        server = os.environ.get("WEDSYNC_SERVER", "").rstrip("/")
        if not server.startswith(("http://", "https://")):
            raise SystemExit("set WEDSYNC_SERVER to the server's address, for example https://monitor.example")
        spool = Path(os.environ.get("WEDSYNC_SPOOL", "/var/lib/wedsync-agent"))
        key_file = Path(os.environ.get("WEDSYNC_AGENT_KEY_FILE", str(spool / "key")))
        megabytes = int(os.environ.get("WEDSYNC_SPOOL_MEGABYTES", "256"))
        named = filter(None, os.environ.get("WEDSYNC_ALLOWED_NETWORKS", "").split(","))
        try:
            allowed = tuple(ipaddress.ip_network(text.strip(), strict=False) for text in named)
        except ValueError as error:
            raise SystemExit(f"WEDSYNC_ALLOWED_NETWORKS: {error}; write networks as 10.0.0.0/8,fd00::/8") from error
        ca_file = os.environ.get("WEDSYNC_CA_FILE")
        return cls(server, key_file, spool, ca_file, megabytes * 1024 * 1024, allowed)

    def key(self) -> str | None:
        """The agent's key; None where there is none yet."""
        try:
            return self.kept_key().read_text().strip() or None
        except FileNotFoundError:
            return os.environ.get("WEDSYNC_AGENT_KEY") or None

    def kept_key(self) -> Path:
        """The file of the key. One that replaced WEDSYNC_AGENT_KEY is kept by that one's digest: it outlives a
        restart, and another WEDSYNC_AGENT_KEY counts at once."""
        if given := os.environ.get("WEDSYNC_AGENT_KEY"):
            return self.spool / f"key-after-{hashlib.sha256(given.encode()).hexdigest()[:16]}"
        return self.key_file

    def can_keep_key(self) -> bool:
        """Whether a new key could be written down. One that cannot be must not be asked for."""
        folder = self.kept_key().parent
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK)

    def keep_key(self, key: str) -> None:
        """Replace the key at once and durably (mode 600)."""
        place = self.kept_key()
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = place.with_name(f".{place.name}.new")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(key + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(place)


@dataclass(frozen=True)
class Collection:
    """The server's side: what to collect and how often (seconds)."""

    interval: float = 10.0
    collectors: tuple[str, ...] = DEFAULT_COLLECTORS
    watched_services: tuple[str, ...] = ()
    exporters: tuple[dict[str, Any], ...] = ()
    adaptive: bool = True
    min_interval: float = 5.0
    max_interval: float = 10.0
    discovery: bool = True
    disk_mounts: tuple[str, ...] | None = None
    network_interfaces: tuple[str, ...] | None = None
    compress: bool = True
    version: str = ""
    runs_checks: bool = False

    @classmethod
    def from_server(cls, answer: dict[str, Any]) -> Collection:
        """What GET …/agents/configuration answered; parts that are left out keep their defaults."""
        wanted = answer.get("agent_config") or {}
        interval = float(answer.get("collection_interval") or 10)
        mounts, interfaces = wanted.get("disk_mounts"), wanted.get("network_interfaces")
        return cls(
            interval=interval,
            collectors=tuple(wanted.get("collectors") or DEFAULT_COLLECTORS),
            watched_services=tuple(wanted.get("watched_services") or ()),
            exporters=tuple(wanted.get("exporters") or ()),
            adaptive=bool(wanted.get("adaptive_sampling", True)),
            min_interval=float(wanted.get("min_interval") or max(interval / 2, 1)),
            max_interval=float(wanted.get("max_interval") or interval),
            discovery=bool(wanted.get("discovery", True)),
            disk_mounts=tuple(mounts) if mounts is not None else None,
            network_interfaces=tuple(interfaces) if interfaces is not None else None,
            compress=bool(answer.get("compression_enabled", True)),
            version=str(answer.get("config_version", "")),
            runs_checks=answer.get("agent_type") == "synthetic",
        )
