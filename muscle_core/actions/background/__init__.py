"""Background work: submit it, run it, and put it into words."""
