"""What hangs on an asset that is down."""

from __future__ import annotations

from uuid import UUID

from alerts.suppression.dependencies import below

A, B, C, D = (UUID(int=number) for number in range(1, 5))


def test_what_hangs_on_it_through_others_is_found():
    assert below({A}, {B: [A], C: [B], D: []}) == {B: A, C: A}


def test_nothing_is_held_back_by_what_it_feeds():
    assert below({C}, {B: [A], C: [B]}) == {}


def test_two_that_hang_on_each_other_hold_neither_back():
    assert below({A, B}, {A: [B], B: [A], C: [B]}) == {C: A}


def test_of_a_chain_that_is_down_only_the_first_is_told():
    assert below({A, B, C}, {B: [A], C: [B]}) == {B: A, C: A}
