"""Secrets are sealed at rest, masked where they are shown, and come back only to where they were."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.conditions import Channels
from wedsync_monitor import secrets
from wedsync_monitor.secrets import MASK, Unreadable, mask, open_text, restore_masked, reveal, seal, seal_text
from wedsync_monitor.structures import Secret

words = st.text(min_size=1, max_size=30).filter(lambda text: text != MASK and not text.startswith("sealed:v1:"))
webhooks = st.builds(
    lambda url, secret, headers: {"type": "webhook", "config": {"url": url, "secret": secret, "headers": headers}},
    words, words, st.dictionaries(words, words, max_size=3),
)  # fmt: skip
slacks = st.builds(
    lambda url, channel: {"type": "slack", "config": {"webhook_url": url, "channel": channel}}, words, words
)
channels = st.lists(st.one_of(webhooks, slacks), max_size=4)


@given(words)
def test_a_text_that_is_sealed_opens_again(text):
    sealed = seal_text(text)
    assert text not in sealed or len(text) < 4
    assert open_text(sealed) == text
    assert seal_text(sealed) == sealed


@given(channels)
def test_what_is_sealed_is_revealed_as_it_was_and_masked_without_a_secret(value):
    sealed = seal(Channels, value)
    assert reveal(sealed) == value
    assert seal(Channels, sealed) == sealed
    for one, shown in zip(value, mask(sealed), strict=True):
        config = shown["config"]
        if one["type"] == "slack":
            assert config == {"webhook_url": MASK, "channel": one["config"]["channel"]}
        else:
            headers = dict.fromkeys(one["config"]["headers"], MASK)
            assert config == {"url": one["config"]["url"], "secret": MASK, "headers": headers}


@given(channels)
def test_a_mask_that_comes_back_unchanged_restores_every_secret(value):
    sealed = seal(Channels, value)
    assert restore_masked(mask(sealed), sealed) == sealed


@given(channels, st.data())
def test_a_secret_never_moves_to_another_channel(value, data):
    sealed = seal(Channels, value)
    kept = data.draw(st.lists(st.sampled_from(range(len(value))), unique=True).map(sorted) if value else st.just([]))
    restored = restore_masked([mask(sealed[place]) for place in kept], sealed)
    for place, item in zip(kept, restored, strict=True):
        assert secrets.holds_mask(item) or reveal(item) == value[place]


def test_two_channels_that_look_alike_keep_their_own_secrets():
    stored = seal(Channels, [{"type": "slack", "config": {"webhook_url": url}} for url in ("one", "two")])
    assert reveal(restore_masked(mask(stored), stored)) == reveal(stored)
    assert secrets.holds_mask(restore_masked(mask(stored)[:1], stored))


def test_an_item_with_another_address_does_not_get_the_secret():
    stored = seal(Channels, [{"type": "webhook", "config": {"url": "https://a", "secret": "s"}}])
    moved = [{"type": "webhook", "config": {"url": "https://b", "secret": MASK}}]
    assert restore_masked(moved, stored) == moved


def test_one_secret_is_renewed_while_another_stays():
    stored = seal(Channels, [{"type": "webhook", "config": {"url": "u", "secret": "s", "headers": {"X": "x"}}}])
    sent = [{"type": "webhook", "config": {"url": "u", "secret": "new", "headers": {"X": MASK}}}]
    assert reveal(restore_masked(sent, stored))[0]["config"] == {"url": "u", "secret": "new", "headers": {"X": "x"}}


def test_a_secret_of_another_installation_is_unreadable(settings):
    sealed = seal_text("s")
    settings.SECRET_KEY = "another key"
    with pytest.raises(Unreadable, match="enter it again"):
        open_text(sealed)


class Inner(msgspec.Struct):
    token: Secret
    name: str = ""


@pytest.mark.parametrize(
    ("structure", "value", "masked"),
    [
        (Inner, {"token": "t", "name": "n"}, {"token": MASK, "name": "n"}),
        (Inner | None, {"token": "t"}, {"token": MASK}),
        (Inner | None, None, None),
        (list[Inner], [{"token": "t"}], [{"token": MASK}]),
        (dict[str, Secret], {"a": "t"}, {"a": MASK}),
        (Secret | None, "t", MASK),
        (Annotated[list[Secret], msgspec.Meta(max_length=2)], ["t"], [MASK]),
        (dict[str, int], {"a": 1}, {"a": 1}),
    ],
)
def test_whatever_a_structure_marks_as_secret_is_sealed(structure, value, masked):
    sealed = seal(structure, value)
    assert mask(sealed) == masked
    assert reveal(sealed) == value
    assert '"t"' not in json.dumps(sealed)
