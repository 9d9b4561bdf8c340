"""What agents tell by their own hooks: Claude Code's, put into its settings by `gt-trace hook claude`."""
