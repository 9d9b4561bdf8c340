"""Records the events that it is told, a line of JSON each; says whether all was sent, and what went wrong.

A line is {"how": …, "name": …, "told": the keywords}; `tell` has what `how` can be.
With the argument `inside` it records in a span of its own.
"""

import json
import sys

import gastown_tracing as gt
from gastown_tracing.events import recorder
from gastown_tracing.events.registry import EVENTS

#: What a block knows at its end only.
LATE = ("duration_ms", "exit_code", "stdout", "stderr", "msg.id", "work_mol", "error")


def tell(how, name, told):
    if how == "measure":
        recorder.measure(name, told.pop("value"), **told)
    elif how == "around" and EVENTS[name].is_span:
        late = {key: told.pop(key) for key in LATE if key in told}
        with gt.event(name, **told) as call:
            call.set(**late)
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
