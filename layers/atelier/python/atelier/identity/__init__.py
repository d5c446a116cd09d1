"""Identity: users, workspaces, sessions and API tokens; authentication, and authorisation by roles and scopes."""
