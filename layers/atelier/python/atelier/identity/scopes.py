"""What an API token may be good for: permissions by name, and two groups of them.

A token's scopes only ever narrow: what it may do is what they cover *and* its creator's role holds at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable

from atelier.identity.permissions import WEAKEST, Role, permits

# Everything that an editor may do. What administers a workspace is good only where it is named.
ALL = "all"
# Everything that anybody in the workspace may read.
READ = "read"
GROUPS = {ALL: "everything that an editor may do", READ: "everything that a viewer may read"}
# What is about the person or about tokens: whoever finds a token can neither make another nor look around.
NEVER = frozenset({"account.read", "tokens.manage", "tokens.read"})
SCOPES = (*GROUPS, *sorted(WEAKEST.keys() - NEVER))


def covers(scopes: Iterable[str], permission: str) -> bool:
    """Whether a token with these scopes may use `permission` where its creator's role holds it."""
    if permission in NEVER:
        return False
    return permission in scopes or any(_includes(scope, permission) for scope in scopes)


def _includes(scope: str, permission: str) -> bool:
    if scope == ALL:
        return permits(Role.EDITOR, permission)
    return scope == READ and permission.endswith(".read") and permits(Role.VIEWER, permission)
