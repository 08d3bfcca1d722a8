"""Manual error review: queues, causes, verdicts, and what follows from them."""
