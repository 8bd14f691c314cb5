"""How long the partitioned tables keep their days."""

from django.conf import settings

from wedsync_monitor.partitions import PartitionedTable

SYNTHETIC_RESULT_DAYS = 90


def partitioned_tables() -> list[PartitionedTable]:
    return [
        PartitionedTable("metric_frame", settings.METRIC_RETENTION_DAYS),
        PartitionedTable("synthetic_check_results", SYNTHETIC_RESULT_DAYS),
    ]
