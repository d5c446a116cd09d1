"""Messages that were tried as often as their queue allows: read them, send them again, drop them."""
