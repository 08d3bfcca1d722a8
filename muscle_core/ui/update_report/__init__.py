"""The Update report page."""
