"""Livestreams on DynamoDB, in the table that contexts of the community share."""
