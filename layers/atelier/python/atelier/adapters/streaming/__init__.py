"""Streaming services: adapters of the port `StreamingService`, and what chooses one."""
