"""Whether text really streamed, told from the times at which it arrived. Times are in seconds."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass

from tests.patience import TooSlow


@dataclass(frozen=True)
class Pace:
    """How the text was made: so many tokens, the first after `ttft`, each further one after `step`."""

    tokens: int
    step: float

    @classmethod
    def of(cls, usage: dict[str, float]) -> Pace:
        """From the event `usage`, where the speed counts the time before the first token too."""
        tokens = int(usage["completion_tokens"])
        whole = tokens / usage["tokens_per_second"]
        return cls(tokens, (whole - usage["ttft_ms"] / 1000) / (tokens - 1))


def check_flow(arrivals: list[float], pace: Pace) -> None:
    """Raises TooSlow when something on the way held text back: all at once at the end, or in clumps.

    Counted from the end, the first text was there before the fourth token was made, and the gaps between
    arrivals are those of the model's steps. What it does not see is a constant delay of the whole.
    """
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    told = f"{len(arrivals)} arrivals of {pace.tokens} tokens, a step is {pace.step * 1000:.1f} ms; gaps: "
    told += " ".join(f"{gap * 1000:.0f}" for gap in gaps[:60])
    flows = (
        len(arrivals) >= pace.tokens / 3
        # The making took (tokens - 1) steps after the first token; a tenth is room for a busy machine.
        and arrivals[-1] - arrivals[0] >= 0.9 * (pace.tokens - 4) * pace.step
        and statistics.median(gaps) <= 3 * pace.step + 0.005
        and max(gaps) <= max(10 * pace.step, 0.35)
    )
    if not flows:
        raise TooSlow(told)
