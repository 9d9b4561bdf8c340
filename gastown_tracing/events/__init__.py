"""The data model as data, and what records an event: attributes, span, log record, metrics."""
