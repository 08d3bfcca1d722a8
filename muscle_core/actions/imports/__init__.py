"""Take in per-sample outputs that were made elsewhere: first a plan, then the import."""
