"""api probes: steps that build on each other, and sign-ins that are used again."""

from __future__ import annotations

import json

import pytest

from tests.agent.probes.conftest import around, page, probed, request_in


class Shop:
    """Signs in with a password, answers with a token, and tells of bookings to whoever has it."""

    def __init__(self):
        self.token, self.signed_in, self.seen = "tok-1234567", 0, []

    async def __call__(self, reader, writer):
        head, body = await request_in(reader)
        self.seen.append(head.split("\r\n")[0])
        writer.write(self.answer(head, body))
        await writer.drain()

    def answer(self, head, body):
        if head.startswith("POST /login"):
            if json.loads(body) != {"password": "s3cret"}:
                return page(b"no", "403 Forbidden")
            self.signed_in += 1
            said = json.dumps({"data": {"token": self.token, "ids": [7, 9]}}).encode()
            return page(said, Set_Cookie=f"sid={self.token}", X_Region="eu")
        if f"authorization: Bearer {self.token}" not in head or f"cookie: sid={self.token}" not in head:
            return page(f"who are you? {head}".encode(), "401 Unauthorized")
        return page(json.dumps({"id": 7, "token": self.token, "state": "confirmed"}).encode())


LOGIN = {
    "name": "login",
    "method": "POST",
    "url": "/login",
    "body": '{"password": "{{secret:pw}}"}',
    "extract": [
        {"name": "token", "source": "json", "path": "$.data.token"},
        {"name": "id", "source": "json", "path": "$.data.ids[0]", "secret": False},
    ],
}
BOOKING = {
    "name": "booking",
    "url": "/bookings/{{id}}",
    "headers": {"Authorization": "Bearer {{token}}"},
    "assertions": [
        {"source": "json", "path": "$.id", "op": "equals", "value": "{{id}}"},
        {"source": "json", "path": "$.state", "op": "equals", "value": "confirmed"},
    ],
}
SECRETS = {"pw": "s3cret"}


@pytest.fixture
def shop(serve):
    shop = Shop()
    shop.url = serve(shop).url
    return shop


def test_steps_take_from_each_other_and_each_is_told(shop):
    outcome = probed("api", around(secrets=SECRETS), url=shop.url, steps=[LOGIN, BOOKING], sample_bytes=500)
    assert outcome.error_message is None
    assert shop.seen == ["POST /login HTTP/1.1", "GET /bookings/7 HTTP/1.1"]
    steps = outcome.network_info["steps"]
    assert [(step["name"], step["status_code"]) for step in steps] == [("login", 200), ("booking", 200)]
    assert sum(step["response_time_ms"] for step in steps) <= outcome.timing.total_ms + 0.01
    assert shop.token not in json.dumps(outcome.columns(), default=str)
    assert "confirmed" in outcome.response_body_sample


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([LOGIN | {"body": "{}"}], "step 1 (login): status 403, expected 200-299"),
        ([BOOKING], "step 1 (booking): no step before extracts 'token'"),
        ([LOGIN, BOOKING | {"assertions": [{"source": "json", "path": "$.id", "op": "less", "value": 7}]}],
         "step 2 (booking): $.id is 7, expected less than 7"),
        ([LOGIN | {"extract": [{"name": "x", "source": "header", "path": "X-Gone"}]}],
         "step 1 (login): nothing to extract as x: header X-Gone is not there"),
        ([LOGIN | {"extract": [{"name": "r", "source": "header", "path": "X-Region", "secret": False},
                               {"name": "t", "source": "body", "path": "tok-([0-9]+)", "secret": False}]},
          {"url": "/{{r}}/{{t}}", "expected_status_codes": [404]}],
         "step 2: status 401, expected 404"),
    ],
)  # fmt: skip
def test_a_step_that_fails_ends_the_run_and_is_named(shop, steps, told):
    outcome = probed("api", around(secrets=SECRETS), url=shop.url, steps=steps)
    assert outcome.error_message == told


def test_a_sign_in_is_used_again_until_it_is_no_longer_taken(shop):
    given = around(secrets=SECRETS)
    said = {
        "url": shop.url,
        "sign_in": {"steps": [LOGIN], "reuse_seconds": 60},
        "steps": [BOOKING],
        "sample_bytes": 900,
    }
    for _ in range(3):
        assert probed("api", given, key="a", **said).status == "success"
    assert shop.signed_in == 1
    shop.token = "tok-7654321"
    outcome = probed("api", given, key="a", **said)
    assert (outcome.status, shop.signed_in) == ("success", 2)
    assert "tok-1234567" not in json.dumps(outcome.columns(), default=str)
    probed("api", given, key="another", **said)
    assert shop.signed_in == 3


def test_a_sign_in_ends_with_its_time(shop):
    now = [0.0]
    given = around(secrets=SECRETS, clock=lambda: now[0])
    said = {"url": shop.url, "sign_in": {"steps": [LOGIN], "reuse_seconds": 60}, "steps": [BOOKING]}
    for now[0] in (0.0, 59.0, 61.0):
        assert probed("api", given, **said).status == "success"
    assert shop.signed_in == 2


def test_a_token_is_hidden_in_the_sample_of_a_step_that_fails_and_where_the_cut_falls_into_it(shop):
    given = around(secrets=SECRETS)
    failing = LOGIN | {"expected_status_codes": [201]}
    for size in (15, 25, 400):
        outcome = probed("api", given, url=shop.url, steps=[failing], sample_bytes=size)
        assert outcome.status == "failure"
        assert "tok-" not in outcome.response_body_sample


def test_what_a_target_answers_cannot_ask_for_secrets(shop):
    shop.token = "{{secret:other}}"
    given = around(secrets={"pw": "s3cret", "other": "must-stay"})
    steps = [LOGIN, BOOKING | {"url": "/{{token}}"}]
    assert probed("api", given, url=shop.url, steps=steps).status == "success"  # it got its own words back
    assert shop.seen == ["POST /login HTTP/1.1", "GET /%7B%7Bsecret:other%7D%7D HTTP/1.1"]


def test_a_check_without_steps_asks_its_own_url(shop):
    outcome = probed("api", url=shop.url, expected_status_codes=[401], expected_content="who are you")
    assert outcome.error_message is None
