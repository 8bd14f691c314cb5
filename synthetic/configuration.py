"""What of synthetic monitoring is configuration."""

from synthetic.api import CheckSerializer
from wedsync_monitor.configuration.kinds import Kind

KINDS = (Kind("synthetic_checks", "synthetic", CheckSerializer, "check_name"),)
