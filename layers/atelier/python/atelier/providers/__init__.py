"""Provider adapters: one file per provider, its name is the provider's id. `_contract.py` says what each must do."""
