"""The inbox: webhooks are verified, stored and answered, and then dispatched to the handler of their source."""
