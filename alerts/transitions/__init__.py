"""The one door to an alert's status: findings and people's actions become rows, events and messages."""

from alerts.lifecycle import Refused
from alerts.transitions.door import Standing, acknowledge, act, end_orphans, load, observe, resolve
from alerts.transitions.subjects import Ending, Happening, Outcome, Subject, snapshot_of

__all__ = [
    "Ending",
    "Happening",
    "Outcome",
    "Refused",
    "Standing",
    "Subject",
    "acknowledge",
    "act",
    "end_orphans",
    "load",
    "observe",
    "resolve",
    "snapshot_of",
]
