"""The agent looks more often while something happens, and reports what happened in between."""

from wedsync_agent.sampling import Between, next_interval


def test_a_resting_host_is_looked_at_ever_less_often_up_to_the_longest_interval():
    still = {"cpu_usage_percent": 5.0}
    assert next_interval(10, still, still, 5, 60) == 15
    assert next_interval(50, still, still, 5, 60) == 60


def test_a_high_or_lively_host_is_looked_at_as_often_as_allowed():
    assert next_interval(60, {"cpu_usage_percent": 85.0}, {"cpu_usage_percent": 84.0}, 5, 60) == 5
    assert next_interval(60, {"cpu_usage_percent": 10.0}, {"cpu_usage_percent": 30.0}, 5, 60) == 5


def test_a_peak_between_two_reports_is_reported():
    between = Between()
    for value in (10.0, 90.0, 20.0):
        between.add("cpu_usage_percent", value)
    readings = {one.name: one.value for one in between.drain({"cpu_usage_percent": "percent"})}
    assert readings == {"cpu_usage_percent": 40.0, "cpu_usage_percent_max": 90.0}
    assert between.drain({}) == []
