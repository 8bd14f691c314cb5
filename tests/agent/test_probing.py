"""Many checks beside each other, their attempts, and a host that is cut off."""

from __future__ import annotations

import ipaddress
import socket
from datetime import UTC, datetime

import pytest
from wedsync_agent.connectivity import MIN_TARGETS, RECENT_SECONDS, Connectivity
from wedsync_agent.probes import Check, Outcome, Surroundings, Timing
from wedsync_agent.probing import Prober

AROUND = Surroundings(allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))


def outcome(problem: str | None) -> Outcome:
    return Outcome("error" if problem else "success", datetime(2026, 6, 13, tzinfo=UTC), Timing(), problem)


def seen(*told: tuple[str, str | None], at: float = 0.0, before: Connectivity | None = None) -> Connectivity:
    known = before or Connectivity()
    for target, problem in told:
        known.note(target, outcome(problem), at)
    return known


REACHED = [(name, None) for name in "abc"]
LOST = [("a", "connect"), ("b", "timeout"), ("c", "resolve")]


@pytest.mark.parametrize(
    ("after", "is_cut_off"),
    [
        (LOST, True),
        (LOST[: MIN_TARGETS - 1], False),
        ([*LOST, ("d", None)], False),
        ([*LOST, ("d", "expectation")], False),
        ([*LOST, ("d", "connect")], True),
    ],
)
def test_a_host_is_cut_off_where_nothing_that_it_reached_answers_any_more(after, is_cut_off):
    minutes = RECENT_SECONDS * 2
    assert seen(*after, at=minutes, before=seen(*REACHED)).is_cut_off(minutes) is is_cut_off


def test_targets_that_never_answered_and_a_checks_own_faults_prove_nothing():
    assert not seen(*LOST).is_cut_off(0)
    assert not seen(*((name, "forbidden") for name in "abc"), before=seen(*REACHED)).is_cut_off(RECENT_SECONDS * 2)


def _check(port: int, timeout: float = 5.0) -> Check:
    return Check.read({}, kind="tcp", host="127.0.0.1", port=port, timeout_seconds=timeout)


def test_a_target_that_hangs_delays_no_other_and_a_reference_that_is_out_of_reach_says_who_is_at_fault():
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as closed:
        free = closed.getsockname()[1]
        closed.close()
        hanging = Check.read(
            {"dialogue": [{"expect": "hello"}]}, kind="tcp", host="127.0.0.1", port=silent.getsockname()[1],
            timeout_seconds=30,
        )  # fmt: skip
        with Prober([("127.0.0.1", free)], pause_seconds=0) as prober:
            for number in range(50):
                prober.start(f"hangs {number}", hanging, AROUND, 3)
            prober.start("works", _check(silent.getsockname()[1]), AROUND, 3)
            assert [(one.ticket, one.is_counted) for one in prober.take(10)] == [("works", True)]
            prober.start("refused", _check(free), AROUND, 2)
            (ended,) = prober.take(10)
            assert (ended.ticket, ended.attempts, ended.is_counted) == ("refused", 3, False)
            assert prober.is_cut_off
            assert len(prober.under_way) == 50
