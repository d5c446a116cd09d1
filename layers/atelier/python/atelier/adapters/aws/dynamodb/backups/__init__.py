"""Backups on DynamoDB: their records, the reading of whole tables, and the stored items of chains."""
