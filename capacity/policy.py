"""Who may do what with forecasts."""

from wedsync_monitor.policy import EVERY_ROLE, OPERATIONS, Policy, managed_by

POLICIES = (Policy("forecasts", ("capacity.CapacityForecast",), managed_by(OPERATIONS, EVERY_ROLE)),)
