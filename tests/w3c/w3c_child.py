"""A traced program as small as can be: reads its context, starts spans, prints what their children would get.

Usage: w3c_child.py N. Prints N lines, each a JSON pair [TRACEPARENT, TRACESTATE]; null is unset.
"""

import json
import os
import sys

from propagation import environ, rules, run
from propagation.traceparent import SpanContext

found = rules.resolve(os.environ)
for _ in range(int(sys.argv[1])):
    span = SpanContext(found.trace_id, run.new_span_id(), found.flags, found.tracestate)
    child = environ.child_env(os.environ, span)
    print(json.dumps([child.get("TRACEPARENT"), child.get("TRACESTATE")]))
