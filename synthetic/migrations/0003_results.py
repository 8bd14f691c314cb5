"""The partitioned tables that Django does not manage (sql/results.sql)."""

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("synthetic", "0002_initial")]
    operations = [
        migrations.RunSQL(
            Path(__file__).with_name("sql").joinpath("results.sql").read_text(),
            reverse_sql="DROP TABLE synthetic_check_results",
        )
    ]
