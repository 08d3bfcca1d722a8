"""Scoring: encode prompts and answers, log-likelihoods, greedy generation, prediction rows (needs torch)."""
