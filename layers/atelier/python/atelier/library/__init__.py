"""The library: a workspace's assets, uploads, characters and templates."""
