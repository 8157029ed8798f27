"""Attack streams against the filter, judged by the oracle: behind `checkrein fuzz`."""
