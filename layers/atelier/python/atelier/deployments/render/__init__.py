"""Static files of a published site. Pure: the same input makes the same bytes."""
