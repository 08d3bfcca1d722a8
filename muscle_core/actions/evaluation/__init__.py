"""Ask model versions, judge their answers and keep both as evaluation runs."""
