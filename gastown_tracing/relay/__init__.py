"""The relay: the one process a journal that ships what was recorded, adds up its metrics and keeps order."""
