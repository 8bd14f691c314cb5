"""What expressions come to: hand-computed results over arrays, by Prometheus's rules."""

from __future__ import annotations

import re

import numpy as np
import pytest

from assets.metrics.promql.evaluation import STALE, Evaluation, needs
from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.parsing import parse
from assets.metrics.promql.ranges import TooMuch
from assets.metrics.promql.syntax import NAME
from assets.metrics.promql.vectors import Vector, Window

S = 1000
STALE_MARK = np.array([STALE]).view(np.float64)[0]


def match(pattern, texts):
    found = [re.fullmatch(pattern, text) for text in texts]
    return [one and (one.group(), *one.groups()) for one in found]


class Store:
    """Series by name and labels: {"up{a=1}": {second: value}}."""

    def __init__(self, series):
        self.series = [(self.labels(name), samples) for name, samples in series.items()]

    @staticmethod
    def labels(text):
        name, _, inside = text.partition("{")
        pairs = [pair.split("=") for pair in inside.rstrip("}").split(",") if pair]
        return {NAME: name} | dict(pairs)

    def fits(self, labels, matchers):
        return all((labels.get(one.label, "") == one.value) == (one.operator == "=") for one in matchers)

    def read(self, need):
        chosen = [(labels, samples) for labels, samples in self.series if self.fits(labels, need.selector.matchers)]
        offsets = np.cumsum([0, *(len(samples) for _, samples in chosen)])
        moments = [second * S for _, samples in chosen for second in samples]
        values = [value for _, samples in chosen for value in samples.values()]
        return Window([labels for labels, _ in chosen], offsets, np.array(moments, np.int64), np.array(values, float))

    def ask(self, text, *seconds):
        """{labels but the name: values at these instants}, None where there is no value; or a scalar's values."""
        tree = parse(text)
        moments = np.array([second * S for second in seconds], dtype=np.int64)
        found = Evaluation(moments, 300 * S, {need: self.read(need) for need in needs(tree)}, match).value(tree)
        if not isinstance(found, Vector):
            return found.tolist()
        rows = zip(found.labels, found.values.tolist(), found.there.tolist(), strict=True)
        return {
            self.shown(labels): [value if there else None for value, there in zip(values, held, strict=True)]
            for labels, values, held in rows
        }

    @staticmethod
    def shown(labels):
        inside = ",".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != NAME)
        return labels.get(NAME, "") + (f"{{{inside}}}" if inside else "")


def every(seconds, *values, start=0):
    return {start + seconds * place: float(value) for place, value in enumerate(values)}


def test_a_sample_is_good_for_five_minutes_and_not_at_their_very_end():
    up = Store({"up": {100: 1.0, 160: 2.0}})
    assert up.ask("up", 99, 100, 159, 160, 459, 460) == {"up": [None, 1, 1, 2, 2, None]}


def test_a_stale_mark_ends_a_series_until_it_comes_back():
    up = Store({"up": {100: 1.0, 160: STALE_MARK, 220: 3.0}})
    assert up.ask("up", 150, 170, 230) == {"up": [1, None, 3]}
    assert up.ask("count_over_time(up[5m])", 300) == {"": [2]}


def test_offsets_look_back_and_ahead():
    up = Store({"up": every(60, 1, 2, 3)})
    assert up.ask("up offset 1m", 60, 120) == {"up": [1, 2]}
    assert up.ask("up offset -1m", 0, 60) == {"up": [2, 3]}
    assert up.ask("sum_over_time(up[1m] offset 1m)", 120) == {"": [2]}


OVER = {
    "avg": 20.0, "min": 5.0, "max": 40.0, "sum": 80.0, "count": 4.0, "last": 40.0, "present": 1.0,
    "stddev": float(np.std([5, 10, 25, 40])), "stdvar": float(np.var([5, 10, 25, 40])),
}  # fmt: skip


@pytest.mark.parametrize("how", OVER)
def test_windows_are_open_at_their_start(how):
    """The window of 60 s at 60 holds the samples at 15, 30, 45 and 60, and not the one at 0."""
    x = Store({"x{a=1}": every(15, 1000, 5, 10, 25, 40)})
    name = "x" if how == "last" else ""
    assert x.ask(f"{how}_over_time(x[1m])", 60) == {f"{name}{{a=1}}": [pytest.approx(OVER[how])]}


def test_quantiles_over_time_lie_between_neighbours():
    x = Store({"x": every(15, 0, 1, 2, 3, 4)})
    assert x.ask("quantile_over_time(0.5, x[1m])", 60) == {"": [2.5]}
    assert x.ask("quantile_over_time(-1, x[1m])", 60) == {"": [float("-inf")]}
    assert x.ask("quantile_over_time(2, x[1m])", 60) == {"": [float("inf")]}


def test_rate_is_extrapolated_to_the_ends_of_the_window():
    """Samples at 15, 30, 45 and 60 grow by 30 in 45 s; from 15 back to 0 is within 1.1 intervals, so 60 s it is."""
    c = Store({"c": every(15, 90, 100, 110, 120, 130)})
    assert c.ask("increase(c[1m])", 60) == {"": [pytest.approx(40)]}
    assert c.ask("rate(c[1m])", 60) == {"": [pytest.approx(40 / 60)]}


def test_rate_is_not_extrapolated_beyond_half_an_interval_where_samples_begin_late():
    """In the window of 5 min: samples at 240, 255, 270, so 15 s apart. 30 s after the last is too far: half of 15 s
    counts; 240 s before the first is too far too."""
    c = Store({"c": every(15, 100, 110, 120, start=240)})
    assert c.ask("increase(c[5m])", 300) == {"": [pytest.approx(20 * (30 + 7.5 + 7.5) / 30)]}


def test_a_counter_is_not_extrapolated_below_zero():
    """It stood at 2 at second 15 and grew by 10 in 15 s, so it was at zero 3 s before."""
    c = Store({"c": every(15, 2, 12, 22, 32, start=15)})
    assert c.ask("increase(c[1m])", 60) == {"": [pytest.approx(30 * (45 + 3) / 45)]}


def test_a_counter_that_falls_began_again_at_zero():
    c = Store({"c": every(15, 0, 100, 110, 5, 15)})
    assert c.ask("increase(c[1m])", 60) == {"": [pytest.approx((10 + 5 + 10) * 60 / 45)]}
    assert c.ask("resets(c[1m])", 60) == {"": [1]}
    assert c.ask("changes(c[1m])", 60) == {"": [3]}
    assert c.ask("irate(c[1m])", 45) == {"": [pytest.approx(5 / 15)]}
    assert c.ask("irate(c[1m])", 60) == {"": [pytest.approx(10 / 15)]}


def test_gauges_may_fall():
    g = Store({"g": every(15, 0, 100, 90, 80, 70)})
    assert g.ask("delta(g[1m])", 60) == {"": [pytest.approx(-40)]}
    assert g.ask("idelta(g[1m])", 60) == {"": [-10]}
    assert g.ask("deriv(g[1m])", 60) == {"": [pytest.approx(-10 / 15)]}
    assert g.ask("predict_linear(g[1m], 60)", 60) == {"": [pytest.approx(30)]}


def test_one_sample_says_nothing_about_a_rate():
    assert Store({"c": every(60, 1, 2)}).ask("rate(c[30s])", 60) == {}


SERVERS = {
    "m{host=a,job=x}": every(60, 1, 1),
    "m{host=b,job=x}": every(60, 2, 8),
    "m{host=c,job=y}": every(60, 6, 3),
}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("sum(m)", {"": [9, 12]}),
        ("sum by (job) (m)", {"{job=x}": [3, 9], "{job=y}": [6, 3]}),
        ("avg without (host) (m)", {"{job=x}": [1.5, 4.5], "{job=y}": [6, 3]}),
        ("min(m)", {"": [1, 1]}),
        ("max(m)", {"": [6, 8]}),
        ("count by (nothing) (m)", {"": [3, 3]}),
        ("group(m)", {"": [1, 1]}),
        ("stddev(m)", {"": [pytest.approx(np.std([1, 2, 6])), pytest.approx(np.std([1, 8, 3]))]}),
        ("stdvar(m)", {"": [pytest.approx(np.var([1, 2, 6])), pytest.approx(np.var([1, 8, 3]))]}),
        ("quantile(0.5, m)", {"": [2, 3]}),
        ("quantile(0.25, m)", {"": [1.5, 2]}),
        ("topk(1, m)", {"m{host=b,job=x}": [None, 8], "m{host=c,job=y}": [6, None]}),
        ("topk by (job) (1, m)", {"m{host=b,job=x}": [2, 8], "m{host=c,job=y}": [6, 3]}),
        ("bottomk(1, m)", {"m{host=a,job=x}": [1, 1]}),
        ("topk(0, m)", {}),
    ],
)
def test_aggregations_by_groups(text, answer):
    assert Store(SERVERS).ask(text, 0, 60) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("m * 2", {"{host=a,job=x}": [2], "{host=b,job=x}": [4], "{host=c,job=y}": [12]}),
        ("7 % m", {"{host=a,job=x}": [0], "{host=b,job=x}": [1], "{host=c,job=y}": [1]}),
        ("-m", {"{host=a,job=x}": [-1], "{host=b,job=x}": [-2], "{host=c,job=y}": [-6]}),
        ("m > 1", {"m{host=a,job=x}": [None], "m{host=b,job=x}": [2], "m{host=c,job=y}": [6]}),
        ("1 < m", {"m{host=a,job=x}": [None], "m{host=b,job=x}": [2], "m{host=c,job=y}": [6]}),
        ("m > bool 1", {"{host=a,job=x}": [0], "{host=b,job=x}": [1], "{host=c,job=y}": [1]}),
        ("m - m", {"{host=a,job=x}": [0], "{host=b,job=x}": [0], "{host=c,job=y}": [0]}),
        ("m / on (host) m{host!='b'}", {"{host=a}": [1], "{host=c}": [1]}),
        ("sum by (job) (m) / ignoring (host) m{host='c'}", {"{job=y}": [1]}),
        ("m / on (job) group_left sum by (job) (m)", {
            "{host=a,job=x}": [pytest.approx(1 / 3)], "{host=b,job=x}": [pytest.approx(2 / 3)], "{host=c,job=y}": [1],
        }),
        ("sum by (job) (m) - on (job) group_right m", {
            "{host=a,job=x}": [2], "{host=b,job=x}": [1], "{host=c,job=y}": [0],
        }),
        ("m and on (job) m{host='a'}", {"m{host=a,job=x}": [1], "m{host=b,job=x}": [2]}),
        ("m unless on (job) m{host='a'}", {"m{host=c,job=y}": [6]}),
        ("m{host='a'} or on (job) m", {"m{host=a,job=x}": [1], "m{host=c,job=y}": [6]}),
        ("absent(m)", {"": [None]}),
        ("absent(nothing{a='b', c!='d'})", {"{a=b}": [1]}),
        ("nothing + m", {}),
        ("vector(3)", {"": [3]}),
        ("clamp_max(m{host='c'}, 5)", {"{host=c,job=y}": [5]}),
        ("clamp(m{host='c'}, 7, 9)", {"{host=c,job=y}": [7]}),
        ("round(m{host='c'} / 4)", {"{host=c,job=y}": [2]}),
        ("round(m{host='c'}, 4)", {"{host=c,job=y}": [8]}),
        ("timestamp(m{host='c'})", {"{host=c,job=y}": [0]}),
        ("label_replace(m{host='c'}, 'z', '$1-${1}$$', 'host', '(.)')", {"m{host=c,job=y,z=c-c$}": [6]}),
        ("label_replace(m{host='c'}, 'job', '', 'host', '.*')", {"m{host=c}": [6]}),
        ("label_replace(m{host='c'}, 'z', 'q', 'host', 'd')", {"m{host=c,job=y}": [6]}),
    ],
)  # fmt: skip
def test_operators_and_functions(text, answer):
    assert Store(SERVERS).ask(text, 0) == answer


def test_scalars():
    m = Store(SERVERS)
    assert m.ask("1 + 2 * time()", 10, 20) == [21, 41]
    assert m.ask("1 / 0", 0) == [float("inf")]
    assert m.ask("3 >= bool 3", 0) == [1]
    assert m.ask("scalar(sum(m))", 0) == [9]
    assert np.isnan(m.ask("scalar(m)", 0)).all()


def test_the_order_of_one_instant():
    m = Store(SERVERS)
    assert list(m.ask("sort(m)", 60)) == ["m{host=a,job=x}", "m{host=c,job=y}", "m{host=b,job=x}"]
    assert list(m.ask("sort_desc(m)", 60)) == ["m{host=b,job=x}", "m{host=c,job=y}", "m{host=a,job=x}"]
    assert list(m.ask("topk(2, m)", 60)) == ["m{host=b,job=x}", "m{host=c,job=y}"]


def test_quantiles_of_classic_histograms():
    """Of 10 observations 2 are up to 1, 8 up to 2: the median is the third of six in the bucket from 1 to 2."""
    h = Store({f"h_bucket{{le={le}}}": every(60, count) for le, count in (("+Inf", 10), ("1", 2), ("2", 8))})
    assert h.ask("histogram_quantile(0.5, h_bucket)", 0) == {"": [pytest.approx(1.5)]}
    assert h.ask("histogram_quantile(0.1, h_bucket)", 0) == {"": [pytest.approx(0.5)]}
    assert h.ask("histogram_quantile(0.95, h_bucket)", 0) == {"": [2]}
    no_end = Store({f"h_bucket{{le={le}}}": every(60, count) for le, count in (("1", 2), ("2", 8))})
    assert np.isnan(no_end.ask("histogram_quantile(0.5, h_bucket)", 0)[""][0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m + on (job) m", "match group {job=\"x\"} on the right"),
        ("m{host='a'} + on (job) m", "on the right"),
        ("m + on (job) m{host='a'}", "on the left"),
        ("label_replace(m, 'host', 'same', '', '')", "same labelset"),
        ("rate({job='x'}[5m])", "same labelset"),
    ],
)  # fmt: skip
def test_series_that_do_not_fit_together_are_refused(text, said):
    twins = SERVERS | {"n{host=a,job=x}": every(60, 1, 1)}
    with pytest.raises(BadQuery, match=re.escape(said)):
        Store(twins).ask(text, 60)


def test_rows_of_one_name_that_take_turns_become_one():
    """Before second 60 it is reported as a, then as b."""
    m = Store({"m{host=a}": {0: 1.0, 30: STALE_MARK}, "m{host=b}": {60: 2.0}})
    assert m.ask("label_replace(m, 'host', 'both', '', '')", 10, 70) == {"m{host=both}": [1, 2]}


def test_windows_that_hold_too_much_are_refused():
    long = Window([{NAME: "m"}], np.array([0, 20_000]), np.arange(20_000) * S, np.zeros(20_000))
    tree = parse("max_over_time(m[1d])")
    moments = np.arange(10_000, dtype=np.int64) * S
    with pytest.raises(TooMuch, match="longer step"):
        Evaluation(moments, 300 * S, dict.fromkeys(needs(tree), long), match).value(tree)
