"""Organisations in the identity table, beside what `identity/__init__.py` lists.

    pk wsp_…            sk profile           the workspace; of an organisation also slug, settings and counters
    pk slug#<slug>      sk workspace         the claim on a slug
    pk wsp_…            sk member#usr_…      a member, for the list of members
    pk usr_…            sk member#wsp_…      the same membership, from which requests are authorised

Both items of a membership change in one transaction, together with the counters of the workspace. The counter `owners`
has the condition that one owner remains, so two owners who leave at the same time cannot leave none.
"""
