import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0012_acknowledge_links'),
    ]

    operations = [
        migrations.AddField(
            model_name='notificationdelivery',
            name='last_attempt_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='notificationdelivery',
            name='told_by',
            field=models.ForeignKey(blank=True, help_text='The summary it is part of.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='alerts.notificationdelivery'),
        ),
        migrations.AddIndex(
            model_name='notificationdelivery',
            index=models.Index(condition=models.Q(('last_attempt_at__isnull', False)), fields=['channel_key', 'last_attempt_at'], name='idx_deliveries_channel'),
        ),
    ]
