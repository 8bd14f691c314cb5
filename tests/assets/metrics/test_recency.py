"""What is remembered within bounds."""

from __future__ import annotations

from assets.metrics.recency import Recent


def test_what_is_used_stays_and_the_rest_goes_after_two_generations():
    recent = Recent[str, int](10)
    recent.keep({"used": 1, "unused": 2})
    for number in range(100):
        recent.keep({str(number): number})
        assert recent.find(["used"]) == {"used": 1}
    assert recent.find(["unused", "0", "99", "used"]) == {"99": 99, "used": 1}
    assert len(recent._young) + len(recent._old) <= 20


def test_all_is_forgotten():
    recent = Recent[str, int](10)
    recent.keep({"a": 1})
    recent.clear()
    assert recent.find(["a"]) == {}
