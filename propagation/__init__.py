"""W3C context."""
