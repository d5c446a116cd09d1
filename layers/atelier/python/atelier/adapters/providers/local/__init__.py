"""The embedded provider: pictures, films, speech, text and pages without any key."""
