"""Command lines of bd, git and gt: which events they are. Nothing is run or looked up here."""
