"""Sites: pages, reusable parts, their versions and comments."""
