#!/bin/sh
# The mayor: finds work, slings it to a polecat, reads the polecat's mail, sends the polecat home.
exec >>"$GT_ROOT/mayor.log" 2>&1

await() {
  tries=0
  while [ ! -e "$1" ] && [ "$tries" -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
}

bead=$(gt-trace exec --event bd.call -- bd create "Login test fails on Fridays" -t task -p 1 --json |
  sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | head -n 1)
gt-trace exec --event sling --attr "bead=$bead" --attr target=demo/polecats/Toast -- gt sling "$bead"

await "$GT_ROOT/mail"
. "$GT_ROOT/mail"
# The mail brings its sender's context along: read in a run of its own, that becomes a span link.
TRACEPARENT=$sent_by gt-trace exec --event mail --attr operation=read --attr "msg.id=$id" \
  --attr msg.from=demo/polecats/Toast --attr msg.to=mayor/ --attr "msg.subject=$subject" -- bd show "$id" --json

await "$GT_ROOT/finished"
gt-trace exec --event polecat.remove --attr name=Toast --attr rig=demo -- \
  gt-trace session stop gt-demo-Toast --reason done
: >"$GT_ROOT/over"
exec sleep 60
