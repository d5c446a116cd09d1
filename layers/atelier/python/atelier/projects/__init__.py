"""Projects, what may be spent on them and in their workspace, and who is told when it is."""
