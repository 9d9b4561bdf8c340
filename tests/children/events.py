"""Records the events that it is told, a line of JSON each; says whether all was sent, and what went wrong.

A line is {"how": "record", "typed" or "measure", "name": …, "told": the keywords}. With the argument
`inside` it records in a span of its own.
"""

import json
import sys

import gastown_tracing as gt
from gastown_tracing.events import recorder


def tell(how, name, told):
    if how == "measure":
        recorder.measure(name, told.pop("value"), **told)
    elif how == "typed":
        getattr(gt, f"record_{name.replace('.', '_')}")(**told)
    else:
        gt.record(name, **told)


def work():
    for line in sys.stdin:
        tell(**json.loads(line))


provider = gt.init()
(gt.traced(name="the work")(work) if "inside" in sys.argv else work)()
print(json.dumps({"sent": provider.shutdown(20), "errors": provider.errors}))
