"""The ledger's table: one wallet item per workspace, and one immutable item per movement.

    pk wsp_…  sk wallet                       counters and the map of live grants
    pk wsp_…  sk movement#<order>#<key>       a movement's entries; <order> sorts the statement, <key> is natural
    pk wsp_…  sk key#<key>                    an operation whose order does not follow from its key; kept for ever

Holds are written as deltas under conditions, so that parallel holds on one wallet do not invalidate each other; only a
change of the *set* of grants (`revision`) makes a plan stale.
"""
