"""What Slack gets, at a real receiver."""

from __future__ import annotations

import json

from alerts.channels import slack


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
