"""A simulator of Stripe: a pure model of an account (state and time → objects and events) under a thin server.

It speaks the API version of the pinned SDK, which drives it unmodified. `server.py` says how to run it and how to make
it misbehave, `api.py` what it knows. Amounts are integers in the smallest unit of their currency, times Unix seconds.
"""
