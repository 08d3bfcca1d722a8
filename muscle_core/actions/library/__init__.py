"""What a workspace holds: model versions, datasets, the demo, and the next step where something is missing."""
