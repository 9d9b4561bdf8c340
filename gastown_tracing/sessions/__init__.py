"""The life of a session: who it is, its run, its root span, and how its end is found.

Whoever spawns an agent uses these in this order: `run.create_run`, then the spawn with `run.session_env`,
`run.write_pane`, `run.record_start`; `ending.close` when it ends, or `reaping.reap` for those that ended
unseen.
"""
