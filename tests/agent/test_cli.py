"""The `wedsync-agent` command as people and systemd call it: its words, files and exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

AGENT = Path(__file__).resolve().parents[2] / "agent"
NOBODY = "http://127.0.0.1:9"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEDSYNC")}

    def begin(*arguments: str, server: str = NOBODY) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "wedsync_agent", *arguments],
            cwd=AGENT,
            env=inherited | {"WEDSYNC_SERVER": server, "WEDSYNC_SPOOL": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_once_prints_what_would_be_sent(start):
    code, out, _ = outcome(start("once"))
    assert code == 0
    assert re.search(r"^memory_usage_percent\{\} [\d.]+ percent$", out, re.MULTILINE)
    assert re.search(r"^disk_usage_percent\{mount=/\} [\d.]+ percent$", out, re.MULTILINE)


def test_enrol_exchanges_a_token_for_a_key_that_only_its_owner_reads(start, answering, tmp_path):
    code, out, _ = outcome(start("enrol", "--server", answering.url, "--token", "wse_token"))
    assert (code, out) == (0, f"enrolled as on web-01; the key is in {tmp_path / 'key'}\n")
    assert (tmp_path / "key").read_text() == "wsa_enrolled\n"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert answering.said["agents/enrol"][0]["token"] == "wse_token"


def test_a_token_that_is_refused_leaves_no_key(start, answering, tmp_path):
    answering.status = 400
    code, _, err = outcome(start("enrol", "--token", "wse_spent", server=answering.url))
    assert (code, "answered 400" in err) == (1, True)
    assert not (tmp_path / "key").exists()


def test_check_tells_of_a_key_that_is_missing_or_refused(start, answering, tmp_path):
    code, _, err = outcome(start("check", server=answering.url))
    assert (code, err) == (1, f"there is no key in {tmp_path / 'key'}; enrol first\n")
    (tmp_path / "key").write_text("wsa_revoked\n")
    answering.status = 401
    code, _, err = outcome(start("check", server=answering.url))
    assert (code, "does not know this key (401)" in err, "enroll_agent" in err) == (1, True, True)


@pytest.mark.parametrize("arguments", [("enrol", "--token", "wse_token"), ("check",)])
def test_a_server_that_does_not_answer_is_told_and_fails(start, tmp_path, arguments):
    (tmp_path / "key").write_text("wsa_held\n")
    code, _, err = outcome(start(*arguments))
    assert (code, f"{NOBODY} does not answer" in err) == (1, True)


def test_check_says_whether_the_server_knows_the_agent(start, answering, tmp_path):
    (tmp_path / "key").write_text("wsa_held\n")
    code, out, _ = outcome(start("check", server=answering.url))
    assert (code, out) == (0, f"{answering.url} knows this agent\n")
    assert answering.keys == {"wsa_held"}


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_when_asked_to_and_shares_its_spool_with_nobody(start, wanted):
    running = start("run")
    assert "reporting to" in running.stderr.readline()
    code, _, err = outcome(start("run"))
    assert (code, "another agent uses" in err) == (1, True)
    running.send_signal(wanted)
    assert outcome(running)[0] == 0
