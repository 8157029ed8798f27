"""The main job, end to end: behind `checkrein demo` (`scripts/demo` is the shell script)."""
