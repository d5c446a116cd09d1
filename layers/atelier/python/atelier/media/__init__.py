"""Media: fetched through one guarded fetcher, decoded within bounds, cleaned, watermarked, kept by content."""
