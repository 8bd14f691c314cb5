"""The partitioned tables that Django does not manage (sql/metrics.sql)."""

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("assets", "0002_initial")]
    operations = [
        migrations.RunSQL(
            Path(__file__).with_name("sql").joinpath("metrics.sql").read_text(),
            reverse_sql="DROP VIEW infrastructure_metrics; DROP TABLE metric_frame, metric_layout, metric_series",
        )
    ]
