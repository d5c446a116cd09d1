"""The first page of a person: what each persona wants to see at once."""
