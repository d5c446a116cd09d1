"""Error reports: the errors that functions log, for a tracker that groups them, without what people wrote."""
