#!/bin/sh
# The polecat: primes, claims its bead, works, is wrong once, closes the bead, writes mail, is done.
exec >>"$GT_ROOT/polecat.log" 2>&1
bead=$1

bd() { gt-trace exec --event bd.call -- bd "$@"; }

gt-trace exec --event prime --attr role=polecat --attr hook_mode=true \
  --attr work_rig=demo --attr "work_bead=$bead" --attr work_mol= -- gt prime "$bead"
bd ready --json --limit 0
bd update "$bead" --claim --json
gt-trace exec --name "run the tests" -- sleep 0.4
bd show de-none --json
gt-trace exec --name "run the tests" -- sleep 0.2
for _ in 1 2 3; do bd list --all --json --flat --limit 0; done
bd close "$bead" --reason done --json
subject="$bead is done"
gt-trace exec --event mail --attr operation=send --attr msg.from=demo/polecats/Toast --attr msg.to=mayor/ \
  --attr "msg.subject=$subject" --attr msg.type=notification -- gt mail send mayor/ "$subject"
gt-trace exec --event done --attr exit_type=COMPLETED --attr rig=demo --attr "bead_id=$bead" -- gt done
: >"$GT_ROOT/finished"
exec sleep 60
