
import django.contrib.postgres.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0041_profiles'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='alertevent',
            name='alert_events_kind_known',
        ),
        migrations.AddField(
            model_name='alertinstance',
            name='flapping_since',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='alertinstance',
            name='flips',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(), blank=True, default=list, help_text='When the trouble began and ended lately.', size=None),
        ),
        migrations.AlterField(
            model_name='alertevent',
            name='kind',
            field=models.TextField(choices=[('pending', 'Pending'), ('opened', 'Opened'), ('acknowledged', 'Acknowledged'), ('acknowledgement_expired', 'Acknowledgement Expired'), ('suppressed', 'Suppressed'), ('unsuppressed', 'Unsuppressed'), ('data_missing', 'Data Missing'), ('data_back', 'Data Back'), ('resolved', 'Resolved'), ('escalated', 'Escalated'), ('snoozed', 'Snoozed'), ('assigned', 'Assigned'), ('commented', 'Commented'), ('flapping', 'Flapping')]),
        ),
        migrations.AddConstraint(
            model_name='alertevent',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['pending', 'opened', 'acknowledged', 'acknowledgement_expired', 'suppressed', 'unsuppressed', 'data_missing', 'data_back', 'resolved', 'escalated', 'snoozed', 'assigned', 'commented', 'flapping'])), name='alert_events_kind_known', violation_error_message='kind must be one of: pending, opened, acknowledged, acknowledgement_expired, suppressed, unsuppressed, data_missing, data_back, resolved, escalated, snoozed, assigned, commented, flapping.'),
        ),
    ]
