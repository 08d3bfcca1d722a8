"""The Samples page: the table with its filters, and one sample side by side."""
