"""Provider adapters: one module for each provider, named after its id. `provider_port.py` defines their interface."""
