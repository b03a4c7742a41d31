#!/bin/bash
# sbatch slurm.sh: 16 tasks share one sweep through the store; each makes one run at a time.
#SBATCH --job-name=sgdprobe
#SBATCH --array=1-16
#SBATCH --cpus-per-task=1
#SBATCH --requeue
set -eu
cd "$HOME/sgdprobe"
exec .venv/bin/python src/train.py -m sweep sweep=sequential \
  tracking.uri="http://SERVER:5000" tracking.lease=120
