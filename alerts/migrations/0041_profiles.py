
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0040_anomaly_state'),
    ]

    operations = [
        migrations.AddField(
            model_name='alertrule',
            name='profiles',
            field=models.JSONField(blank=True, default=list),
        ),
    ]
