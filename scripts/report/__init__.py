"""The self-contained report that the demo writes."""
