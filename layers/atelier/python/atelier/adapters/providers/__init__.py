"""Provider adapters: one file per provider, named after the provider's id. `_contract.py` defines their interface."""
