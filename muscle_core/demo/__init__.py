"""The embedded demo: a small made-up world, two tiny bases pre-trained on it, and the recipe of both."""
