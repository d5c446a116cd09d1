"""Atelier: the serverless backend for AI media products. One package per bounded context; imports
point inwards, from adapters and wiring to the contexts (import-linter checks them)."""

import gc

# Imports allocate tens of thousands of objects that live as long as the process. Garbage collection during the imports
# finds nothing to free and takes a tenth of a cold start. The thresholds of the older generations keep their ratios.
gc.set_threshold(100_000, 20, 100)
