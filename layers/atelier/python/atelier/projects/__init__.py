"""Projects, budgets of projects and workspaces, and alerts when a budget is nearly or fully spent."""
