#!/bin/sh
# docker/gpu.sh [up -d ...]: `docker compose` after a look at whether this host can hand a GPU to containers.
# Docker itself only says: could not select device driver "nvidia" with capabilities: [[gpu]].
set -eu

say() { echo "$*" >&2; }
if ! command -v nvidia-smi >/dev/null 2>&1 || ! nvidia-smi -L >/dev/null 2>&1; then
    say "nvidia-smi finds no GPU: install the NVIDIA driver on this host first, or put COMPOSE_PROFILES=cpu into .env."
    exit 1
fi
if ! docker info >/dev/null 2>&1; then
    say "Docker does not answer: is it started, and may $(id -un) use it (sudo usermod -aG docker $(id -un))?"
    exit 1
fi
if ! docker info --format '{{json .Runtimes}} {{json .DiscoveredDevices}}' 2>/dev/null | grep -q nvidia &&
    ! docker info 2>/dev/null | grep -qi nvidia; then
    say "Docker cannot hand over the GPU: the NVIDIA container toolkit is missing or Docker has not been told of it."
    say "  Debian, Ubuntu: sudo apt-get install nvidia-container-toolkit    (from NVIDIA's repository)"
    say "  RHEL, Fedora:   sudo dnf install nvidia-container-toolkit"
    say "  then:           sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
    exit 1
fi
[ $# -gt 0 ] || set -- up -d
exec docker compose --profile gpu "$@"
