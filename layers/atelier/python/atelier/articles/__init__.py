"""Editorial content: articles and announcements, from the draft to the feeds."""
