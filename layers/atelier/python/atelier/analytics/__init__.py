"""Analytics: what was made, what it cost, what it earned, kept as sums that cost the same whatever there is."""
