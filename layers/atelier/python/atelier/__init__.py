"""Atelier: the serverless backend for AI media products. One package per bounded context; arrows point inwards."""

import gc

# Importing allocates tens of thousands of objects that live as long as the process: collecting while they are made
# finds nothing and is a tenth of a cold start. The other generations keep their proportions.
gc.set_threshold(100_000, 20, 100)
