"""Keep a workspace in order: delete, clean up, share, look for faults."""
