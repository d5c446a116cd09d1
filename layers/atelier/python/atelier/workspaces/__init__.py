"""Workspaces and who belongs to them: organisations, members, invitations, quotas."""
