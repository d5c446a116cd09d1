"""What things cost: the catalogue of models, prices and tiers, and the arithmetic over it. Integers only."""
