"""The version, in a module of its own so that a shim need not load package metadata."""

VERSION = "0.1.0"
