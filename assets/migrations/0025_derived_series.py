"""The series that the system derives itself, by asset (sql/derived_series.sql)."""

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("assets", "0010_labels")]
    operations = [
        migrations.RunSQL(
            Path(__file__).with_name("sql").joinpath("derived_series.sql").read_text(),
            reverse_sql="DROP INDEX metric_series_derived",
        )
    ]
