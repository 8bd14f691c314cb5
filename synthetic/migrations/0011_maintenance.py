"""Results know whether they fell into planned maintenance; those that failed are found without reading the others."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("synthetic", "0010_engine")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE synthetic_check_results ADD COLUMN in_maintenance boolean NOT NULL DEFAULT false",
            "ALTER TABLE synthetic_check_results DROP COLUMN in_maintenance",
        ),
        migrations.RunSQL(
            "CREATE INDEX idx_synthetic_check_results_bad ON synthetic_check_results (check_timestamp, check_id)"
            " WHERE status <> 'success' AND is_counted AND NOT in_maintenance",
            "DROP INDEX idx_synthetic_check_results_bad",
        ),
    ]
