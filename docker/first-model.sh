#!/bin/sh
# Put the model that came with the inference image on the list, once: one that was removed there stays away.
set -eu

data=${HEARTH_DATA:-/data}
folder=$data/models/SmolLM2-135M-Instruct
if [ -e "$data/.default-model" ] || [ ! -d "$folder" ]; then
    exit 0
fi
python manage.py register_default_model
printf %s "$folder" >"$data/.default-model"
