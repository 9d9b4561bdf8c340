"""The life of a session: who it is, its run, its root span, and how its end is found."""
