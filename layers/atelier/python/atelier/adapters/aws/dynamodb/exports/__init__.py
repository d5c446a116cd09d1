"""Exports on DynamoDB."""
