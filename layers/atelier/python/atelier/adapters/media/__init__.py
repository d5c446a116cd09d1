"""Media files: fetched through one guarded fetcher, decoded within limits, cleaned, watermarked, stored by content."""
