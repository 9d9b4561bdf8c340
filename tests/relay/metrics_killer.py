"""A process that starts the worker for metrics and kills it with SIGKILL again and again, at random instants.

Each is forked from here, where everything has been loaded: so most of the instants are in its work.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

from gastown_tracing.journal.layout import Journal
from tests.relay import metrics_child


def main() -> None:
    root, count, longest, seed = sys.argv[1:]
    moment = random.Random(int(seed))  # noqa: S311 # when one is killed is no secret
    for _ in range(int(count)):
        pid = os.fork()
        if not pid:
            metrics_child.run(Journal(root))
            os._exit(1)
        time.sleep(moment.uniform(0.0, float(longest)))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


if __name__ == "__main__":
    main()
