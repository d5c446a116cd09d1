"""Sign in with Google and GitHub: OAuth transactions, external logins and their links to accounts."""
