"""The tmux shim: what gt asks of tmux, read, run as it came and recorded."""
