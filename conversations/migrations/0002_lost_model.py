from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="lost_model",
            field=models.CharField(blank=True, default="", editable=False, max_length=128),
        ),
    ]
