"""The program `python -m infra.simulators.stripe`."""

from __future__ import annotations

from infra.simulators.kit.server import main
from infra.simulators.stripe.server import SIMULATOR

main(SIMULATOR, "stripe")
