# The first tables of this app.

import accounts.ids
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.CharField(default=accounts.ids.new_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('load', 'load'), ('unload', 'unload')], max_length=16, verbose_name='kind')),
                ('model_id', models.CharField(db_index=True, max_length=32, verbose_name='model')),
                ('state', models.CharField(choices=[('queued', 'queued'), ('running', 'running'), ('done', 'done'), ('failed', 'failed'), ('cancelled', 'cancelled')], default='queued', max_length=16, verbose_name='state')),
                ('progress', models.FloatField(blank=True, help_text='0..1', null=True, verbose_name='progress')),
                ('error', models.JSONField(blank=True, null=True, verbose_name='error')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('owner', models.CharField(blank=True, default='', max_length=64, verbose_name='worker')),
                ('lease_until', models.DateTimeField(blank=True, null=True, verbose_name='lease until')),
                ('created', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('finished', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
            ],
            options={
                'verbose_name': 'job',
                'verbose_name_plural': 'jobs',
                'ordering': ['-created', 'id'],
                'indexes': [models.Index(fields=['state', 'created'], name='job_state_created')],
            },
        ),
        migrations.CreateModel(
            name='Model',
            fields=[
                ('id', models.CharField(default=accounts.ids.new_id, editable=False, max_length=32, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=128, unique=True, verbose_name='name')),
                ('family', models.CharField(blank=True, default='', max_length=64, verbose_name='family')),
                ('engine', models.CharField(choices=[('transformers', 'transformers'), ('openai', 'remote endpoint'), ('echo', 'echo (for tests)')], max_length=16, verbose_name='engine')),
                ('source', models.JSONField(default=dict, verbose_name='source')),
                ('secret', models.TextField(blank=True, default='', editable=False)),
                ('settings', models.JSONField(blank=True, default=dict, verbose_name='settings')),
                ('context_length', models.PositiveIntegerField(blank=True, null=True, verbose_name='context length')),
                ('capabilities', models.JSONField(blank=True, default=list, verbose_name='capabilities')),
                ('is_default', models.BooleanField(default=None, editable=False, null=True, unique=True, verbose_name='default')),
                ('enabled', models.BooleanField(default=True, help_text='Users may choose it.', verbose_name='enabled')),
                ('created', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
            ],
            options={
                'verbose_name': 'model',
                'verbose_name_plural': 'models',
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('is_default', True), ('is_default__isnull', True), _connector='OR'), name='model_default_true_or_null')],
            },
        ),
    ]
