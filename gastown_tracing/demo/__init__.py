"""The demo: a small town of real processes, from a sling to a waterfall."""
