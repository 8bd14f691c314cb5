"""Templates of webhooks: texts are filled in, and nothing runs."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from alerts.channels import templates

KNOWN = {"title": "CPU", "trigger_value": 93.5, "actor": None}


def test_what_is_filled_in_stays_inside_of_its_text():
    template = {"text": "${title}: ${trigger_value} by ${actor}", "n": "${trigger_value}", "none": "$actor", "five": 5}
    assert templates.fill(template, KNOWN | {"title": '"}{'}) == {
        "text": '"}{: 93.5 by ', "n": 93.5, "none": None, "five": 5
    }  # fmt: skip


def test_what_is_filled_in_is_not_filled_in_again():
    assert templates.fill({"a": "x${title}"}, {"title": "${actor}"}) == {"a": "x${actor}"}


@pytest.mark.parametrize(
    "text",
    ["${title.__class__}", "${title[0]}", "${__init__}", "${config}", "$", "${", "${title!r}", "${earlier}", "${}"],
)
def test_hostile_placeholders_are_refused(text):
    assert templates.problem_with({"a": [text]}, KNOWN)


@pytest.mark.parametrize("text", ["{{ title }}", "{% include '/etc/passwd' %}", "%(title)s", "{title.__class__}"])
def test_other_languages_are_plain_text(text):
    assert templates.problem_with({"a": text}, KNOWN) is None
    assert templates.fill({"a": text}, KNOWN) == {"a": text}


def test_a_template_that_is_too_large_is_refused():
    assert "bytes" in templates.problem_with({"a": "x" * 30_000}, KNOWN)
    assert "placeholders" in templates.problem_with({"a": "$title" * 201}, KNOWN)


def test_a_wrong_template_is_refused_where_it_is_stored(rule):
    config = {"url": "https://example.com", "template": {"a": "${titel}"}}
    with pytest.raises(ValidationError, match="titel"):
        rule("cpu", notification_channels=[{"type": "webhook", "config": config}])
