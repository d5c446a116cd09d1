"""Outbound webhooks: endpoints of a workspace, and the deliveries of its events to them."""
