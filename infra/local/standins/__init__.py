"""Stand-ins for the services that the product calls: they speak the documented API, and misbehave on request."""
