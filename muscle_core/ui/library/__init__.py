"""The Library page: what is in the workspace, and keeping it in order."""
