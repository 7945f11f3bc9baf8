#!/bin/sh
# Stop what start_all.sh started; give the same --data.
exec "${PYTHON:-python3}" "$(dirname "$0")/start.py" stop "$@"
