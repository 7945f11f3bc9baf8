#!/bin/sh
# Start web, inference and worker in the background with the packages of the Python at hand:
#   pip install -r requirements.txt && (cd frontend && npm install && npm run build) && ./start_all.sh
# Options of start.py may follow, as --port 8080 or --data /srv/hearth.
exec "${PYTHON:-python3}" "$(dirname "$0")/start.py" start --here --background --no-browser "$@"
