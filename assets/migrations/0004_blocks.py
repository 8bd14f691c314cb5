"""Metrics at rest: the head by the hour, blocks, daily rows (sql/blocks.sql)."""

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("assets", "0003_metrics")]
    operations = [migrations.RunSQL(Path(__file__).with_name("sql").joinpath("blocks.sql").read_text())]
