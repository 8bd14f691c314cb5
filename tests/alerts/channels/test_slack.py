"""What Slack gets, at a real receiver."""

from __future__ import annotations

import json

import pytest

from alerts.channels import NotDelivered, slack

BOT = {"bot_token": "xoxb-hush", "channel": "#ops"}


def test_a_message_names_the_asset_and_links_to_the_alert(message, receiver):
    slack.send({"webhook_url": receiver.url, "channel": "#ops"}, message())
    said = json.loads(receiver.got[0][1])
    assert (said["text"], said["channel"]) == ("[HIGH] CPU usage is 93 % on web-01", "#ops")
    _, section, context = said["blocks"]
    assert section["text"]["text"] == "*web-01* · production · High CPU usage\nIt is."
    assert message().link in context["elements"][0]["text"]


def test_no_name_and_no_text_mentions_anybody(message, receiver):
    named = message(asset_name="<!channel>", rule_name="<@U1>", title="<!here>", description="<!everyone> & all")
    slack.send({"webhook_url": receiver.url}, named)
    said = json.loads(receiver.got[0][1])
    header, section, _ = said["blocks"]
    assert header["text"]["type"] == "plain_text"
    assert "<" not in said["text"] + section["text"]["text"]
    assert "&lt;!channel&gt;" in section["text"]["text"]


def test_a_bot_changes_its_message_and_says_so_in_the_thread(message, slack_api):
    first = slack.send(BOT, message())
    assert first == "C0123:1700000000.000000"
    assert slack_api.got[0][0]["authorization"] == "Bearer xoxb-hush"
    again = slack.send(BOT, message(event="acknowledged", actor="ann", note="on <!here>", earlier=first))
    assert again == first
    root, reply = slack_api.messages.values()
    assert root["text"] == reply["text"] == "[Acknowledged] CPU usage is 93 % on web-01"
    assert (reply["thread_ts"], "reply_broadcast" in reply) == ("1700000000.000000", False)
    assert "ann: on &lt;!here&gt;" in reply["blocks"][2]["elements"][1]["text"]


def test_people_who_are_asked_again_see_it_in_the_channel(message, slack_api):
    first = slack.send(BOT, message())
    slack.send(BOT, message(event="acknowledgement_expired", earlier=first))
    assert list(slack_api.messages.values())[-1]["reply_broadcast"] is True


def test_a_message_that_somebody_deleted_begins_anew(message, slack_api):
    slack.send(BOT, message())
    slack_api.messages.clear()
    assert slack.send(BOT, message(event="resolved", earlier="C0123:1.1"))
    assert [one["text"] for one in slack_api.messages.values()] == ["[Resolved] CPU usage is 93 % on web-01"]


@pytest.mark.parametrize(("error", "final"), [("invalid_auth", True), ("ratelimited", False), ("fatal_error", False)])
def test_an_answer_of_200_that_is_a_refusal_is_not_an_arrival(message, slack_api, error, final):
    slack_api.errors = [error]
    with pytest.raises(NotDelivered, match=error) as failure:
        slack.send(BOT, message())
    assert failure.value.permanent is final


def test_slack_that_throttles_is_left_alone_for_as_long_as_it_asks(message, slack_api):
    slack_api.answers = [(429, {"Retry-After": "17"})]
    with pytest.raises(NotDelivered) as failure:
        slack.send(BOT, message())
    assert failure.value.retry_after.total_seconds() == 17
