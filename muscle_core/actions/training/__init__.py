"""Train task and compatibility adapters, and say beforehand what that takes."""
