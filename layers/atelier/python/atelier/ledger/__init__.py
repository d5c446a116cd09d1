"""The credit ledger: wallets, grants, holds, and movements of immutable entries that sum to zero."""
