"""Row 13: how long `make run` takes until it is ready on an existing data folder, compared with the emulator alone."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from infra.local.emulator import Emulator
from tests.bench.measure import Result
from tests.bench.stack import running_stack

STARTS = 3


def rows(data: Path) -> list[Result]:
    """Medians over several starts. `data`: the data folder of a stack that has run before."""
    stack, emulator = [], []
    for _ in range(STARTS):
        with running_stack(data) as started:
            stack.append(started.seconds_to_ready)
        alone = Emulator(data.parent / "emulator-alone")
        began = time.perf_counter()
        alone.start()
        emulator.append(time.perf_counter() - began)
        alone.stop()
    ours, reference = statistics.median(stack), statistics.median(emulator)
    return [Result(13, "make run to ready, second time", ours, reference, "s", ours_max=20)]
