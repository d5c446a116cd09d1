"""Real time: connections that get the events of channels as they happen, and requests that wait for them."""
