"""Probes: what is looked at now and then because nothing tells of it by itself."""
