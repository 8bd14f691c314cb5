"""What is wrong, in words."""

from __future__ import annotations

import pytest

from wedsync_monitor.selfmonitoring.limits import LIMITS, complaints
from wedsync_monitor.selfmonitoring.measurements import METRICS, Measurement


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (Measurement("wedsync_evaluation_lag_seconds", 60), []),
        (Measurement("wedsync_evaluation_lag_seconds", 95.4), ["Rules are evaluated 95 s late."]),
        (Measurement("wedsync_processes", 0, {"kind": "delivery"}), ["No process of the kind delivery runs."]),
        (Measurement("wedsync_processes", 1, {"kind": "delivery"}), []),
        (Measurement("wedsync_queue_depth", 501, {"queue": "probes"}), ["501 messages wait in the queue probes."]),
        (Measurement("wedsync_unobserved", 1, {"part": "broker"}), ["Nothing is known of the broker."]),
        # A total says nothing of now: rules watch its rate.
        (Measurement("wedsync_beat_missed_ticks_total", 1e6, {"task": "tick"}), []),
        (Measurement("wedsync_heartbeat", 0), []),
    ],
)
def test_what_is_beyond_its_limit_is_told(measured, said):
    assert complaints([measured]) == said


def test_limits_are_of_metrics_that_exist_and_are_back_on_the_right_side():
    for limit in LIMITS:
        assert limit.metric in METRICS
        assert not limit.broken_by(limit.recovery)
    assert len({limit.rule for limit in LIMITS}) == len(LIMITS)
