"""Latency of one decision: behind `checkrein bench`."""
