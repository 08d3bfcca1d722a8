"""The Training page: the form, and the jobs."""
