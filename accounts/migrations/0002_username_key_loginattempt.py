# Names are unique as people read them; failed sign-ins are counted.

from django.db import migrations, models

from accounts.names import username_key


def fill_keys(apps, schema_editor):
    user_model = apps.get_model("accounts", "User")
    for user in user_model.objects.only("pk", "username").iterator():
        user_model.objects.filter(pk=user.pk).update(username_key=username_key(user.username))


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.AlterModelManagers(
            name='user',
            managers=[],
        ),
        migrations.AddField(
            model_name='user',
            name='username_key',
            field=models.CharField(default='', editable=False, max_length=450),
        ),
        migrations.RunPython(fill_keys, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='user',
            name='username_key',
            field=models.CharField(editable=False, max_length=450, unique=True),
        ),
        migrations.CreateModel(
            name='LoginAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=64)),
                ('at', models.DateTimeField(db_index=True)),
            ],
            options={
                'indexes': [models.Index(fields=['key', 'at'], name='accounts_attempt_key')],
            },
        ),
    ]
