"""Strategies side by side: ablations, seeds pooled, references without training, the view token by token."""
