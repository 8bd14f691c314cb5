import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0010_delivery_receipts'),
        ('assets', '0010_labels'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ExternalAlert',
            fields=[
                ('alert_key', models.TextField(primary_key=True, serialize=False)),
                ('severity', models.TextField()),
                ('labels', models.JSONField()),
                ('annotations', models.JSONField(default=dict)),
                ('generator_url', models.TextField(default='')),
                ('starts_at', models.DateTimeField(null=True)),
                ('ends_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'external_alerts',
            },
        ),
        migrations.RemoveConstraint(
            model_name='alertrule',
            name='alert_rules_alert_type_known',
        ),
        migrations.AlterField(
            model_name='alertrule',
            name='alert_type',
            field=models.TextField(choices=[('threshold', 'Threshold'), ('anomaly', 'Anomaly'), ('composite', 'Composite'), ('absence', 'Absence'), ('external', 'External')], db_default='threshold', default='threshold'),
        ),
        migrations.AddConstraint(
            model_name='alertrule',
            constraint=models.CheckConstraint(condition=models.Q(('alert_type__in', ['threshold', 'anomaly', 'composite', 'absence', 'external'])), name='alert_rules_alert_type_known', violation_error_message='alert_type must be one of: threshold, anomaly, composite, absence, external.'),
        ),
        migrations.AddField(
            model_name='externalalert',
            name='asset',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='assets.infrastructureasset'),
        ),
        migrations.AddField(
            model_name='externalalert',
            name='rule',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='external_alerts', to='alerts.alertrule'),
        ),
        migrations.AddIndex(
            model_name='externalalert',
            index=models.Index(fields=['ends_at'], name='idx_external_alerts_ends'),
        ),
    ]
