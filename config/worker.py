"""The worker: ``python -m config.worker``. Celery with threads, and one thread that gives signs of life.

That thread also sweeps for jobs that no message brought, so work goes on while the broker is away.
SIGTERM and SIGINT end it within two seconds; what was under way is given back for another to do.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

BEAT_EVERY = 2.0
PRUNE_EVERY = 600.0
THREADS = 4
#: How long running jobs may still take after a signal (seconds).
GRACE = 1.0

log = logging.getLogger("hearth.worker")


class Pulse(threading.Thread):
    """Beats, renews leases, takes up what the broker did not bring, keeps the pins, until `stop` is set."""

    def __init__(self) -> None:
        from models_registry.pins import Pins

        super().__init__(name="pulse", daemon=True)
        self.stop = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="swept")
        self._under_way: set[str] = set()
        self._telling = False
        self._prune_at = 0.0
        self._pins = Pins()

    def run(self) -> None:
        said = False
        while not self.stop.is_set():
            try:
                self._beat()
                said = False
            except Exception as error:  # the database may be away or not migrated yet: try again
                if not said:
                    log.warning("No sign of life could be written: %s", error)
                said = True
            self.stop.wait(BEAT_EVERY)

    def _beat(self) -> None:
        from django.db import close_old_connections

        from models_registry import jobs
        from models_registry.downloads import leases as downloads
        from models_registry.downloads.pool import pool
        from monitoring.services import beat, beats_prune

        close_old_connections()
        beat("worker", jobs.OWNER)
        jobs.jobs_renew()
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_EVERY
            jobs.jobs_prune()
            downloads.prune()
            beats_prune()
        for job_id in jobs.jobs_due():
            if job_id not in self._under_way:
                self._under_way.add(job_id)
                self._pool.submit(self._deliver, job_id)
        pool.sweep()
        if not self._telling and (pins := self._pins.due()) is not None:
            self._telling = True
            self._pool.submit(self._tell, pins)

    def _deliver(self, job_id: str) -> None:
        from django.db import connections

        from models_registry.jobs import job_run

        try:
            job_run(job_id)
        except Exception:
            log.exception("Job %s could not be run", job_id)
        finally:
            connections.close_all()
            self._under_way.discard(job_id)

    def _tell(self, pins: set[str]) -> None:
        from inference.errors import InferenceError

        try:
            self._pins.tell(pins)
        except InferenceError as error:  # away: the next beat tries again
            log.debug("The pins could not be told: %s", error)
        except Exception:
            log.exception("The pins could not be told")
        finally:
            self._telling = False

    @staticmethod
    def first() -> None:
        """The first model of a new house, aside: hubs may take seconds to answer."""
        from django.db import connections

        from models_registry.first import first_model

        try:
            first_model()
        except Exception:
            log.exception("The first model could not be looked after")
        finally:
            connections.close_all()

    def farewell(self) -> None:
        """Give back the leases and take the sign of life away."""
        from models_registry import jobs
        from models_registry.downloads import leases as downloads
        from monitoring.services import beat_end

        self.stop.set()
        try:
            jobs.jobs_release()
            downloads.release()
            beat_end(jobs.OWNER)
        except Exception as error:
            log.warning("The farewell could not be written: %s", error)


def _end(pulse: Pulse, code: int = 0) -> None:
    """At once: the thread of a running job cannot be stopped, so the process ends under it."""
    pulse.farewell()
    os._exit(code)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")
    import django

    django.setup()
    from celery.exceptions import WorkerShutdown

    from config.celery import app

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    pulse = Pulse()

    def stop(number: int, frame: FrameType | None) -> Any:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        timer = threading.Timer(GRACE, _end, [pulse])
        timer.daemon = True
        timer.start()
        raise WorkerShutdown(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    pulse.start()
    threading.Thread(target=pulse.first, name="first model", daemon=True).start()
    code = 1
    try:
        worker = app.WorkController(
            pool_cls="threads",
            concurrency=THREADS,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            task_events=False,
        )
        worker.start()
        code = worker.exitcode or 0
    except WorkerShutdown:
        code = 0
    except Exception:
        log.exception("The worker failed")
    finally:
        _end(pulse, code)


if __name__ == "__main__":
    main()
