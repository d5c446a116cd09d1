"""The showcase on DynamoDB."""
