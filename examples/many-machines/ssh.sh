#!/bin/bash
# ./ssh.sh HOST…: the same sweep on each host; the checkout is in ~/sgdprobe there.
set -eu
for host; do
  ssh "$host" 'cd sgdprobe && exec .venv/bin/python src/train.py -m sweep \
    tracking.uri=http://SERVER:5000 tracking.lease=120' 2>&1 | sed "s/^/$host: /" &
done
wait
