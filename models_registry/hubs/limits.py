"""How long a hub may take and how much it may say. Nobody waits for a hub longer than this."""

from __future__ import annotations

#: Seconds for one call in all (a search, a listing, a small read), retries included.
CALL = 20.0
#: Seconds without a byte, and for a connection to be made.
SILENCE = 8.0
CONNECT = 5.0
#: Seconds in which a hub that is asked for its speed must have answered, and how long that is remembered.
REACH = 3.0
REACH_KEPT = 300.0
#: Bytes of one `Hub.read`.
LONGEST_READ = 100_000_000
#: Files that one repository may list. ModelScope cuts its lists at 3000 without a word.
MOST_FILES = 2_000
#: Calls to one hub that may hang at the same time in one process.
MOST_CALLS = 16
#: Files whose headers are read to tell the fit, how many at a time, and seconds for all of them.
MOST_HEADERS = 400
HEADERS_AT_ONCE = 6
FACTS = 30.0
