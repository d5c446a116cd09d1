"""Analytics on DynamoDB."""
