"""How long the partitioned tables keep their days."""

from django.conf import settings

from wedsync_monitor.partitions import PartitionedTable

SYNTHETIC_RESULT_DAYS = 90


def partitioned_tables() -> list[PartitionedTable]:
    return [
        PartitionedTable("metric_block", settings.METRIC_RETENTION_DAYS, storage="toast_tuple_target = 8160"),
        PartitionedTable("metric_daily", settings.METRIC_DAILY_RETENTION_DAYS, yearly=True),
        PartitionedTable("synthetic_check_results", SYNTHETIC_RESULT_DAYS),
    ]
