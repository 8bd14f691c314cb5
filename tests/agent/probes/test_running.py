"""Running probes: many beside each other, and what must never come out of it."""

from __future__ import annotations

import asyncio
import errno

import pytest
from wedsync_agent.probes import PROBES, Check, run, run_many
from wedsync_agent.probes.running import Runner

from tests.agent.probes.conftest import answering, around, dripping, page, probed


def test_a_target_that_hangs_does_not_delay_the_others(serve):
    hanging, quick = serve(dripping(b"")).url, serve(answering(page())).url
    checks = [Check(kind="http", url=url, timeout_seconds=60) for url in [hanging] * 5 + [quick] * 30]

    async def first(count):
        outcomes = run_many(checks, around(), concurrency=10)
        got = [(check.url, outcome.status) for check, outcome in [await anext(outcomes) for _ in range(count)]]
        await outcomes.aclose()  # who leaves early does not wait for the rest either
        return got

    assert asyncio.run(first(30)) == [(quick, "success")] * 30


def test_every_check_gets_its_outcome(serve):
    url = serve(answering(page())).url
    checks = [Check(kind="http", url=f"{url}/{number}", key=str(number)) for number in range(50)]

    async def all_of_them():
        return [check.key async for check, _ in run_many(iter(checks), around(), concurrency=7)]

    assert sorted(asyncio.run(all_of_them()), key=int) == [check.key for check in checks]


def test_checks_that_cannot_be_had_are_the_callers_error():
    def broken():
        yield Check(kind="none")
        raise ZeroDivisionError

    async def all_of_them():
        return [outcome async for _, outcome in run_many(broken(), around(), concurrency=2)]

    with pytest.raises(ZeroDivisionError):
        asyncio.run(all_of_them())


@pytest.mark.parametrize("kind", PROBES)
def test_a_check_that_says_nothing_has_an_outcome(kind):
    outcome = probed(kind)
    assert outcome.status == "error"
    assert outcome.problem in ("configuration", "resolve", "impossible")


def test_an_unknown_type_names_those_that_there_are():
    assert "send one of http, api, dns" in probed("carrier pigeon").error_message


def test_a_defect_of_a_probe_is_an_outcome_too(caplog):
    async def broken(check, trace, around):
        raise ZeroDivisionError

    outcome = asyncio.run(Runner({"http": broken}).run(Check(kind="http")))
    assert (outcome.status, outcome.says_nothing_about_the_target) == ("error", True)
    assert "ZeroDivisionError" in caplog.text


def test_a_machine_without_free_descriptors_says_nothing_about_the_target(serve, monkeypatch):
    async def none_left(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("wedsync_agent.probes.connecting._dialled", none_left)
    assert probed("http", url=serve(answering(page())).url).problem == "impossible"


def test_who_cancels_a_run_ends_it(serve):
    async def cancelled():
        task = asyncio.create_task(run(Check(kind="http", url=serve(dripping(b"")).url, timeout_seconds=60), around()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(cancelled())


def test_what_does_not_fit_is_named_when_a_check_is_read():
    with pytest.raises(ValueError, match=r"expected_status_codes\[1\]"):
        Check.read({"expected_status_codes": [200, "9xx"]}, kind="http")
