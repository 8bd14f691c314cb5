"""Frames are found by when they came in, so that the evaluator reads each of them once."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("assets", "0006_scraping")]
    operations = [
        migrations.RunSQL(
            "CREATE INDEX metric_frame_by_arrival ON metric_frame (received_at)",
            "DROP INDEX metric_frame_by_arrival",
        )
    ]
