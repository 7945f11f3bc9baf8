"""A hub of models on this machine: one HTTP server that speaks ModelScope's and Hugging Face's APIs.

    with FakeHub(folder) as hub:            # or FakeHub(folder).start() … .stop()
        hub.faults.add("cut", after=1000, times=1)
        HfApi(endpoint=hub.endpoint)...
        hub.until(lambda: hub.sent > 500)

`folder` holds `<owner>/<name>/files…`; beside it `<owner>/<name>.json` may say more (see `repos`).
By hand and for browsers: `python -m tests.fake_hub FOLDER --port 8100`; `POST /_fake/faults` sets faults.
"""

from tests.fake_hub.faults import Fault, Faults
from tests.fake_hub.server import FakeHub

__all__ = ["FakeHub", "Fault", "Faults"]
