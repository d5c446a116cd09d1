"""One module for each room of Studio: its routes, and what each page asks the API."""
