"""The engine against a real target: what is due runs, results are judged, and a rule alerts on the verdict."""

from __future__ import annotations

from datetime import timedelta

import pytest
from wedsync_agent.probing import Prober

from alerts import defaults
from alerts.models import AlertInstance
from assets.metrics import query
from assets.metrics.query import SeriesSelector
from synthetic import places
from synthetic import results as results_module
from synthetic.models import CheckPlace, ProbeSecret, SyntheticCheck, SyntheticCheckResult
from synthetic.running import Runner
from tests.alerts.rounds import evaluate

pytestmark = pytest.mark.usefixtures("committed")
MINUTE = timedelta(minutes=1)


def newest(check, metric, now):
    """The newest value of each series of a metric on the check's asset."""
    samples = query.read(SeriesSelector((metric,), (check.asset_id,)), now - timedelta(hours=1), now)
    return [float(samples.of(place)[1][-1]) for place in range(len(samples.series))]


def results(check):
    return list(check.results.order_by("check_timestamp").values_list("status", flat=True))


def test_a_target_that_goes_down_opens_an_alert_that_resolves_when_it_is_back(check, target, run_at, now):
    defaults.create_check_rules()
    booking, told = check("booking", failure_threshold=2, business_impact_score=9), []
    story = [200, 503, 503, 200, 200]
    for minute, target.status in enumerate(story):
        at = now + 2 * minute * MINUTE
        assert run_at(at) == 1
        evaluate(at)
        alert = AlertInstance.objects.filter(alert_rule__rule_name="Check down").first()
        told.append((*newest(booking, "check_up", at), *newest(booking, "check_failing", at), alert and alert.status))
    assert told == [(1, 0, None), (1, 0, None), (0, 9, "open"), (1, 0, "resolved"), (1, 0, "resolved")]
    assert results(booking) == ["success", "failure", "failure", "success", "success"]
    assert AlertInstance.objects.get().asset == booking.asset
    place = CheckPlace.objects.get()
    assert (place.state, place.state_since) == ("up", now + 6 * MINUTE)


def test_only_the_last_of_all_attempts_counts(check, target, run_at, now):
    target.failures_first = 2
    patient = check("patient", retry_attempts=2)
    run_at(now)
    assert results(patient) == ["success"]
    assert patient.results.get().network_info["attempts"] == 3


def test_a_check_that_cannot_be_run_as_it_is_written_is_unknown_and_not_down(check, run_at, now):
    wrong = check("wrong", check_config={"headers": {"X-Key": "{{secret:none}}"}})
    run_at(now)
    seen = wrong.results.get()
    assert (seen.status, seen.is_counted) == ("error", False)
    assert "no secret is called 'none'" in seen.error_message
    assert CheckPlace.objects.get().state == "unknown"
    assert newest(wrong, "check_up", now) == []


def test_a_secret_goes_to_its_own_hosts_and_nowhere_else(check, target, run_at, now):
    ProbeSecret.objects.create(secret_name="ours", hosts=["127.0.0.1"], secret={"value": "p4ss-phrase"})
    ProbeSecret.objects.create(secret_name="theirs", hosts=["vendor.example"], secret={"value": "other"})
    headers = {"X-Key": "{{secret:ours}}"}
    good = check("good", check_config={"headers": headers, "expected_content": "p4ss-phrase"})
    bad = check("bad", check_config={"headers": {"X-Key": "{{secret:theirs}}"}})
    run_at(now)
    assert [seen.get("x-key") or seen.get("X-Key") for seen in target.requests] == ["p4ss-phrase"]
    assert "p4ss-phrase" not in good.results.get().error_message
    assert not bad.results.get().is_counted


def test_what_is_due_is_claimed_once_and_again_when_its_runner_died(check, now):
    check("one", check_frequency=60, timeout_seconds=10, retry_attempts=1)
    CheckPlace.objects.update(next_run_at=now)
    assert len(places.claim("local", now, 10)) == 1
    later = now + 2 * MINUTE
    CheckPlace.objects.update(next_run_at=now)
    assert places.claim("local", now + timedelta(seconds=30), 10) == []
    assert len(places.claim("local", later, 10)) == 1
    place = CheckPlace.objects.get()
    assert place.missed == 2
    assert later < place.next_run_at <= later + MINUTE


def test_checks_that_hang_leave_room_for_the_others(check, now):
    for number in range(6):
        check(f"check {number}")
    CheckPlace.objects.update(next_run_at=now, last_status="timeout")
    CheckPlace.objects.filter(synthetic_check__check_name="check 5").update(last_status="success", next_run_at=now)
    claimed = places.claim("local", now, 4, 2)
    assert claimed[0].synthetic_check.check_name == "check 5"
    assert len(claimed) == 3


def test_a_check_runs_where_and_while_its_row_says_so(check, target, now):
    one = check("one", locations=["eu-west", "us-east"])
    assert set(CheckPlace.objects.values_list("location", flat=True)) == {"eu-west", "us-east"}
    one.locations = ["eu-west"]
    one.save()
    assert CheckPlace.objects.get().location == "eu-west"
    one.is_enabled = False
    one.save()
    assert CheckPlace.objects.get().next_run_at is None
    assert places.claim("eu-west", now + MINUTE, 10) == []


def test_a_check_that_no_longer_alerts_withdraws_what_it_told(check, target, run_at, now):
    target.status = 500
    one = check("one")
    run_at(now)
    assert newest(one, "check_failing", now + MINUTE) == [1]
    one.alert_on_failure = False
    one.save()
    assert newest(one, "check_failing", now + MINUTE) == [0]
    run_at(now + MINUTE)
    assert newest(one, "check_up", now + MINUTE) == newest(one, "check_failing", now + MINUTE) == [0]


def test_a_check_belongs_to_the_asset_of_its_targets_name_or_to_a_service_made_for_it(asset, now):
    web = asset("shop.example")
    known = SyntheticCheck.objects.create(check_name="a", check_type="http", target_url="https://Shop.Example/x")
    new = SyntheticCheck.objects.create(check_name="b", check_type="tcp", target_host="db.example", target_port=5432)
    same = SyntheticCheck.objects.create(check_name="c", check_type="ping", target_host="db.example.")
    assert known.asset == web
    made = new.asset
    assert (made.asset_name, made.asset_type, made.tags) == ("db.example", "service", ["discovered:check"])
    assert same.asset == new.asset
    new.asset.delete()
    assert places.arrange_new(now) == 2
    same.refresh_from_db()
    assert same.asset.asset_name == "db.example"


def test_the_verdict_of_a_check_that_runs_seldom_is_told_in_between_while_it_holds(check, target, run_at, now):
    target.status = 500
    daily = check("daily", check_frequency=3600)
    check("often", check_frequency=10)
    run_at(now)
    assert results_module.restate(now + 30 * MINUTE) == 1
    assert newest(daily, "check_failing", now + 30 * MINUTE) == [1]
    # By then it was not heard of for two turns: nothing is known any more.
    assert results_module.restate(now + 125 * MINUTE) == 0


def test_a_result_that_the_database_refuses_holds_up_no_other(check, target, run_at, now, caplog):
    nobody, good = check("nobody"), check("good")
    # Nobody keeps a day so long ago.
    with Prober(pause_seconds=0) as prober:
        runner = Runner(prober, "local", lambda: now)
        for one, at in ((nobody, now - timedelta(days=4000)), (good, now)):
            columns = {"check_timestamp": at, "status": "success"}
            runner._waiting.append(results_module.Result(one.pk, "local", columns))
        runner._take_in()
    assert (results(nobody), results(good)) == ([], ["success"])
    assert str(nobody.pk) in caplog.text


def test_what_came_in_by_sql_is_run_too(check, now):
    check("one")
    CheckPlace.objects.all().delete()
    assert places.arrange_new(now) == 1
    assert len(places.claim("local", now + MINUTE, 10)) == 1
    assert SyntheticCheckResult.objects.count() == 0
