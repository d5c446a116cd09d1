"""Erasures on DynamoDB."""
