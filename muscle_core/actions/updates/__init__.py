"""Judge an update from the runs there are: comparison, causes, noise floor, history, gate, report, exports."""
