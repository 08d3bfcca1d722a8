"""The Masking page: strategies side by side, and the training of those that are missing."""
