
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0031_baselines_due'),
    ]

    operations = [
        migrations.AddField(
            model_name='ruleevaluation',
            name='last_state',
            field=models.TextField(db_default='', default='', help_text='What the rule says of itself, such as that it learns.'),
        ),
    ]
