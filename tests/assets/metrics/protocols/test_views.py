"""What senders are told of a request of which a part was refused."""

from __future__ import annotations

from assets.metrics.ingestion import Outcome
from assets.metrics.protocols.views import told
from assets.metrics.wire import Refusal


def test_what_was_taken_without_being_stored_is_said():
    refusal = Refusal(3, "value", "send a finite number")
    assert told(Outcome(2, 2, [refusal]), "line") == "1 refused, 2 samples stored; line 3: value: send a finite number"
    assert "0 samples stored (1 more were NaN or sent twice)" in told(Outcome(0, 1, [refusal]), "series")
