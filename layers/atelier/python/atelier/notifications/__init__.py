"""Notifications: what a person should know, in the product and by mail, and what each person wants to know."""
