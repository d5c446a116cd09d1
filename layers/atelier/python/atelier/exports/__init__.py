"""Exports: a workspace's records of a time as one file, written by a job of bounded memory."""
