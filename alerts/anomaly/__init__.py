"""The streaming anomaly detector: `score` for a stored series, `Detector` for one that goes on. No Django, no clock."""

from alerts.anomaly.detector import THRESHOLDS, Detector, score

__all__ = ["THRESHOLDS", "Detector", "score"]
