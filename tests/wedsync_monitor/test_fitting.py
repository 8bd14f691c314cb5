"""What is said beside a structure's complaint: the values or fields that there are at that place."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest

from wedsync_monitor.structured import problem_with


class Compared(msgspec.Struct, tag="compared", forbid_unknown_fields=True):
    operator: Literal["gt", "lt"]
    threshold: float = 0


class Silent(msgspec.Struct, tag="silent", forbid_unknown_fields=True):
    seconds: int = 60


class Group(msgspec.Struct, forbid_unknown_fields=True):
    named: dict[str, Compared | Silent] = {}
    listed: Annotated[list[Compared], msgspec.Meta(max_length=3)] = []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"listed": [{"type": "compared", "operator": ">"}]},
         "Invalid enum value '>'; send one of: gt, lt - at `$.listed[0].operator`"),
        ({"named": {"a": {"type": "loud"}}},
         "Invalid value 'loud'; send one of: compared, silent - at `$.named[...].type`"),
        ({"listed": [{"type": "compared", "operator": "gt", "metric": "m"}]},
         "Object contains unknown field `metric`; the fields are: type, operator, threshold - at `$.listed[0]`"),
        ({"colour": 1}, "Object contains unknown field `colour`; the fields are: named, listed"),
        ({"listed": 7}, "Expected `array`, got `int` - at `$.listed`"),
    ],
)  # fmt: skip
def test_the_values_and_fields_at_the_place_are_named(value, problem):
    assert problem_with(Group, value) == problem


def test_of_tagged_structures_the_one_that_is_meant_is_named():
    told = problem_with(Compared | Silent, {"type": "silent", "operator": "gt"})
    assert told == "Object contains unknown field `operator`; the fields are: type, seconds"
