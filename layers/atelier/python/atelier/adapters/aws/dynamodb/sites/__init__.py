"""Sites on DynamoDB: items, and a store for sites, pages, parts and comments each."""
