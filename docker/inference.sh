#!/bin/sh
# Before the model service starts: the model that came with the image for a data folder that has had none yet,
# and one line about a GPU that should be there and is not. Then the command itself.
set -eu

data=${HEARTH_DATA:-/data}
name=SmolLM2-135M-Instruct
if [ ! -e "$data/.default-model" ] && [ ! -d "$data/models/$name" ]; then
    mkdir -p "$data/models"
    rm -rf "$data/models/$name.part"
    cp -r "${HEARTH_IMAGE_MODELS:-/opt/model}/$name" "$data/models/$name.part"
    mv "$data/models/$name.part" "$data/models/$name"
fi

if [ "${HEARTH_EXPECTS_GPU:-}" = 1 ] && [ ! -e /dev/nvidiactl ] && [ ! -e /dev/dxg ]; then
    echo "No GPU reaches this container, so models run on its CPU. On the host: install the NVIDIA driver" \
        "and nvidia-container-toolkit, then 'sudo nvidia-ctk runtime configure --runtime=docker' and restart Docker." >&2
fi

exec "$@"
