"""Says which signals it gets, until it is told to stop."""

import os
import select
import signal
import sys

NAMES = ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "TSTP", "CONT", "WINCH", "ALRM")

reader, writer = os.pipe()
os.set_blocking(writer, False)
for name in NAMES:
    signal.signal(getattr(signal, f"SIG{name}"), lambda *_: None)
signal.set_wakeup_fd(writer)
print("ready", flush=True)
while True:
    ready, _, _ = select.select([reader, 0], [], [])
    if reader in ready:
        for number in os.read(reader, 100):
            print(signal.Signals(number).name, flush=True)
    elif 0 in ready:
        sys.exit(0)
