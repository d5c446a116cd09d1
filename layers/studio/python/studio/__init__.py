"""Studio: the product in a browser. Pages are rendered here, from what the API answers to the person's own session."""
