"""What `gt-trace doctor` looks at: each module yields the checks of a part, and none of them raises."""
