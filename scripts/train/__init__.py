"""Training of the classifier: behind `checkrein train`."""
