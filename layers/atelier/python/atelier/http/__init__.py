"""The HTTP API: routes, requests and responses, the JSON envelope, and the one place where errors become responses."""
