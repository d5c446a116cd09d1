"""Moving a project of a personal workspace into an organisation: a record with steps, each of them safe to repeat."""
