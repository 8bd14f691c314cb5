from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0011_external_alerts'),
    ]

    operations = [
        migrations.AddField(
            model_name='notificationdelivery',
            name='link_used_at',
            field=models.DateTimeField(blank=True, help_text='Acknowledged by its link at that time.', null=True),
        ),
    ]
