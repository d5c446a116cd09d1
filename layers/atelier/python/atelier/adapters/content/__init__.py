"""Editorial systems elsewhere, one file each."""
