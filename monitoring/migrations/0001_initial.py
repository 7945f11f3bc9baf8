# The first tables of this app.

from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Beat',
            fields=[
                ('id', models.CharField(help_text='role and process, unique per start', max_length=64, primary_key=True, serialize=False)),
                ('role', models.CharField(max_length=16, verbose_name='role')),
                ('pid', models.PositiveIntegerField(verbose_name='pid')),
                ('rss_bytes', models.BigIntegerField(default=0, verbose_name='memory')),
                ('seen', models.DateTimeField(db_index=True, verbose_name='seen')),
            ],
            options={
                'verbose_name': 'process',
                'verbose_name_plural': 'processes',
            },
        ),
    ]
