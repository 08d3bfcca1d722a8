"""The Review page: the queue, the form, and what is around them."""
