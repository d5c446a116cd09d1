"""The audit log: who did what to whose access, money and data; append-only, and sealed in a hash chain."""
