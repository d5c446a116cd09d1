"""Explore the crash points of scenarios and write OUTCOMES.md, or try a number of random pairs of crashes.

export PYTHONPATH=layers/atelier/python
.venv/bin/python -m tests.crashes [scenario …]                       # writes OUTCOMES.md; all scenarios take minutes
.venv/bin/python -m tests.crashes [scenario …] --pairs 500 --seed 7
"""

from __future__ import annotations

import argparse
import contextlib
import io

import tests.conftest  # noqa: F401 - makes up credentials before any client exists
from tests.crashes.deployment import deployed_product
from tests.crashes.explorer import explore, run_undisturbed, run_with_faults, sample_pairs
from tests.crashes.outcomes import write_sections
from tests.crashes.scenarios import GENERATION, RUNS
from tests.emulator_thread import emulator_thread

ALL_SCENARIOS = (*GENERATION, *RUNS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crashes", description="Die at every call of a generation.")
    parser.add_argument("scenarios", nargs="*", choices=[[], *(scenario.name for scenario in ALL_SCENARIOS)])
    parser.add_argument("--pairs", type=int, default=0, help="two crashes in one run, so many times for each scenario")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chosen = [scenario for scenario in ALL_SCENARIOS if scenario.name in arguments.scenarios or not arguments.scenarios]

    with emulator_thread() as url, deployed_product(url) as deployment:
        found = []
        for scenario in chosen:
            # The functions' own output is not shown; only the tables are.
            with contextlib.redirect_stdout(io.StringIO()):
                if arguments.pairs:
                    calls, _ = run_undisturbed(deployment, scenario)
                    for faults in sample_pairs(calls, arguments.pairs, arguments.seed):
                        run_with_faults(deployment, scenario, calls, faults)
                else:
                    found.append(explore(deployment, scenario))
            print(
                f"{scenario.name}: {arguments.pairs} pairs, seed {arguments.seed}"
                if arguments.pairs
                else found[-1].table()
            )
        if found:
            write_sections(found, [scenario.name for scenario in ALL_SCENARIOS])


if __name__ == "__main__":
    main()
