# Models that stay in memory.

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('models_registry', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='model',
            name='pinned',
            field=models.BooleanField(default=False, help_text='Stays in memory until it is unloaded by hand.', verbose_name='pinned'),
        ),
    ]
