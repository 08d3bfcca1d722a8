"""The Flips page: this update, all pairs, slices, versions over time, and scores."""
