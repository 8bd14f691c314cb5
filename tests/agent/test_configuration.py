"""What the agent is told by its environment and by the server, and where its key is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from wedsync_agent.configuration import DEFAULT_COLLECTORS, Collection, Local


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in ("WEDSYNC_AGENT_KEY", "WEDSYNC_AGENT_KEY_FILE", "WEDSYNC_SPOOL_MEGABYTES", "WEDSYNC_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WEDSYNC_SERVER", "https://monitor.example/")
    monkeypatch.setenv("WEDSYNC_SPOOL", str(tmp_path / "spool"))
    return monkeypatch


def test_the_environment_names_server_spool_and_key(environment, tmp_path):
    environment.setenv("WEDSYNC_SPOOL_MEGABYTES", "2")
    local = Local.from_environment()
    assert local.server == "https://monitor.example"
    assert (local.spool, local.key_file) == (tmp_path / "spool", tmp_path / "spool" / "key")
    assert local.max_spool_bytes == 2 * 1024 * 1024


@pytest.mark.parametrize("server", ["", "monitor.example", "ftp://monitor.example"])
def test_without_a_servers_address_the_agent_says_what_to_set(environment, server):
    environment.setenv("WEDSYNC_SERVER", server)
    with pytest.raises(SystemExit, match="set WEDSYNC_SERVER"):
        Local.from_environment()


def test_there_is_no_key_before_one_is_kept_and_only_its_owner_reads_it(environment):
    local = Local.from_environment()
    assert local.key() is None
    local.keep_key("wsa_first")
    local.keep_key("wsa_second")
    assert local.key() == "wsa_second"
    assert local.key_file.stat().st_mode & 0o777 == 0o600


def test_a_key_that_replaced_the_environments_outlives_a_restart(environment):
    environment.setenv("WEDSYNC_AGENT_KEY", "wsa_given")
    assert Local.from_environment().key() == "wsa_given"
    Local.from_environment().keep_key("wsa_newer")
    Local.from_environment().keep_key("wsa_newest")
    assert Local.from_environment().key() == "wsa_newest"


def test_another_key_in_the_environment_counts_at_once(environment):
    environment.setenv("WEDSYNC_AGENT_KEY", "wsa_given")
    Local.from_environment().keep_key("wsa_newer")
    environment.setenv("WEDSYNC_AGENT_KEY", "wsa_another")
    assert Local.from_environment().key() == "wsa_another"


def test_a_configuration_of_the_server_replaces_what_it_names():
    wanted = Collection.from_server(
        {
            "config_version": "abc",
            "collection_interval": 30,
            "compression_enabled": False,
            "agent_config": {
                "collectors": ["cpu"],
                "watched_services": ["nginx"],
                "exporters": [{"url": "http://127.0.0.1:9100/metrics"}],
                "adaptive_sampling": False,
                "discovery": False,
                "disk_mounts": [],
                "network_interfaces": ["eth0"],
            },
        }
    )
    assert (wanted.version, wanted.interval, wanted.compress) == ("abc", 30.0, False)
    assert (wanted.collectors, wanted.watched_services) == (("cpu",), ("nginx",))
    assert (wanted.adaptive, wanted.discovery) == (False, False)
    assert (wanted.disk_mounts, wanted.network_interfaces) == ((), ("eth0",))


def test_what_the_server_leaves_out_keeps_its_default():
    wanted = Collection.from_server({"collection_interval": 60, "agent_config": {}})
    assert wanted.collectors == DEFAULT_COLLECTORS
    assert (wanted.min_interval, wanted.max_interval) == (30.0, 60.0)
    assert wanted.adaptive
    assert wanted.disk_mounts is None
