"""The catalogue of models, prices and tiers, and the arithmetic of prices. Integers only."""
