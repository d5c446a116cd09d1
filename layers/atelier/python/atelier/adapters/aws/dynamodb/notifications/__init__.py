"""Notifications on DynamoDB."""
