"""The webhooks table.

    pk wsp_…  sk whe_…               one endpoint; its secrets are stored only as sealed records
    pk wsp_…  sk workspace-secret    signs what is sent to the `webhook_url` of generations; sealed too
    pk wsp_…  sk endpoint-count      the number of endpoints
    pk wsp_…  sk health#whe_…        how an endpoint answered lately, and the slots of its running requests
    pk wsp_…  sk delivery#whe_…#whd_…  one event for one endpoint, with its attempts. TTL
    pk wsp_…  sk notice#whe_…        an endpoint was disabled, which is not published yet

Index `due` (shard, due_at): what the sweep has to continue. Index `sealed-by` (kid, sk): the secrets that a rotation of
master keys still has to reseal.
"""
