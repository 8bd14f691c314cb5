"""Archived days that were brought back, and until when they stay; days on which shorter retentions were applied."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("assets", "0008_catalogue")]
    operations = [
        migrations.RunSQL(
            """CREATE TABLE metric_restored (day date PRIMARY KEY, until timestamptz NOT NULL);
               CREATE TABLE metric_expiry (applied_on date PRIMARY KEY)""",
            reverse_sql="DROP TABLE metric_restored, metric_expiry",
        )
    ]
