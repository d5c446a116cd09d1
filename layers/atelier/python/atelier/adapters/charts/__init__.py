"""Charts, drawn by other people's libraries."""
