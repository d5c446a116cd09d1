"""Billing: tiers and credit packs are sold through Stripe, and what was paid reaches the ledger exactly once."""
