"""Feeds: what happened in a workspace, or to a person, in order and numbered, for those who watch and for webhooks."""
