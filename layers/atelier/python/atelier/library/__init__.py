"""The library: what a workspace has made and keeps."""
