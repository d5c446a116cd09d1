"""The jobs of schedules, run by hand."""
