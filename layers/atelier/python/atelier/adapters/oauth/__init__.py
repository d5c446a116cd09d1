"""Identity providers over HTTP: Google (OpenID Connect) and GitHub (OAuth 2)."""
