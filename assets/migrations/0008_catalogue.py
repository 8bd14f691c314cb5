"""The metric catalogue and what each sender has; the notes that they are counted from (sql/catalogue.sql)."""

from pathlib import Path

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('assets', '0007_frames_by_arrival'),
    ]

    operations = [
        migrations.CreateModel(
            name='CatalogueEntry',
            fields=[
                ('metric_name', models.TextField(editable=False, primary_key=True, serialize=False)),
                ('meaning', models.TextField(blank=True, db_default='', default='', help_text='What it says, in your words.')),
                ('metric_types', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, editable=False, size=None)),
                ('metric_units', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, editable=False, size=None)),
                ('collection_methods', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, editable=False, size=None)),
                ('labels', models.JSONField(default=dict, editable=False, help_text='The number of values of each label.')),
                ('series', models.BigIntegerField(db_default=0, default=0, editable=False)),
                ('assets', models.BigIntegerField(db_default=0, default=0, editable=False)),
                ('agents', models.BigIntegerField(db_default=0, default=0, editable=False)),
                ('first_seen', models.DateTimeField(editable=False)),
                ('last_seen', models.DateTimeField(editable=False)),
                ('refused', models.BigIntegerField(db_default=0, default=0, editable=False)),
                ('refused_at', models.DateTimeField(editable=False, null=True)),
            ],
            options={
                'verbose_name_plural': 'metric catalogue',
                'db_table': 'metric_catalogue',
                'ordering': ['metric_name'],
            },
        ),
        migrations.CreateModel(
            name='SeriesUsage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('series', models.BigIntegerField(db_default=0, default=0)),
                ('refused', models.BigIntegerField(db_default=0, default=0, help_text='Times that a new series was refused.')),
                ('reported', models.BigIntegerField(db_default=0, default=0, help_text='Of these, told as the series series_refused.')),
                ('refused_at', models.DateTimeField(null=True)),
                ('example', models.TextField(db_default='', default='', help_text='The last one that was refused.')),
            ],
            options={
                'verbose_name_plural': 'series usage',
                'db_table': 'metric_series_usage',
                'ordering': ['-series', 'pk'],
            },
        ),
        migrations.AddField(
            model_name='monitoringagent',
            name='max_series',
            field=models.IntegerField(blank=True, help_text="Series that it may have; the installation's limit where empty.", null=True),
        ),
        migrations.AddConstraint(
            model_name='monitoringagent',
            constraint=models.CheckConstraint(condition=models.Q(('max_series__gte', 1), ('max_series__lte', 10000000)), name='monitoring_agents_max_series_range', violation_error_message='max_series must be from 1 to 10000000.'),
        ),
        migrations.AddField(
            model_name='seriesusage',
            name='agent',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='series_usage', to='assets.monitoringagent'),
        ),
        migrations.AddField(
            model_name='seriesusage',
            name='asset',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='series_usage', to='assets.infrastructureasset'),
        ),
        migrations.AddIndex(
            model_name='seriesusage',
            index=models.Index(fields=['-series', 'id'], name='idx_series_usage_size'),
        ),
        migrations.AddIndex(
            model_name='seriesusage',
            index=models.Index(condition=models.Q(('refused_at__isnull', False)), fields=['refused_at'], name='idx_refused'),
        ),
        migrations.AddConstraint(
            model_name='seriesusage',
            constraint=models.UniqueConstraint(fields=('asset', 'agent'), name='metric_series_usage_once', nulls_distinct=False),
        ),
        migrations.RunSQL(
            Path(__file__).with_name("sql").joinpath("catalogue.sql").read_text(),
            reverse_sql="DROP INDEX metric_series_by_sender; DROP TABLE metric_series_change",
        ),
    ]
