"""Series by label, and the labels that there are (sql/labels.sql)."""

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("assets", "0009_archive")]
    operations = [
        migrations.RunSQL(
            Path(__file__).with_name("sql").joinpath("labels.sql").read_text(),
            reverse_sql="DROP TABLE metric_label; DROP INDEX metric_series_by_label",
        )
    ]
