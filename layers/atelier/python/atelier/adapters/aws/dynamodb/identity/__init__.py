"""The identity table.

    pk email#<address>  sk credentials       the claim on an e-mail address, with the password's hash
    pk mailbox#<digest> sk daily-credits     the workspace that gets the mailbox's daily credits; never deleted
    pk usr_…            sk profile           the user
    pk usr_…            sk member#wsp_…      the user's role in a workspace
    pk usr_…            sk session#ses_…     a session; deleted by TTL after its end
    pk usr_…            sk factor#…          the authenticator, the recovery codes, a passkey (`second_factors.py`)
    pk usr_…            sk ticket#tkt_…      a sign-in that has begun; deleted when it is spent, by TTL otherwise
    pk usr_…            sk device#<digest>   a known device; deleted by TTL some time after its last sign-in
    pk challenge#…      sk challenge         a challenge for passkeys; deleted when it is taken, by TTL otherwise
    pk usr_…            sk link#<purpose>    the record of the last link of its purpose that was sent by mail; TTL
    pk usr_… or wsp_…   sk mail#…            a mail of the outbox, which the table's stream sends; TTL
    pk address#<digest> sk suppression       an address to which nothing is sent, because it bounced or complained
    pk wsp_…            sk profile           the workspace
    pk wsp_…            sk token#tok_…       an API token; deleted by TTL some time after it was revoked
    pk wsp_…            sk tokens            the number of API tokens

Authorizing a request costs one small batch read: session and membership for a browser, which are in one partition; or
token, membership and user (who may be suspended) for a program. Where credits are about to be spent, the wallet is read
in the same batch.
"""
