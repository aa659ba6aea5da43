#!/bin/sh
# Usage: run.sh gpu|cpu release. The variables for CUDA stand in the unit.
# exec: systemd watches the program itself and no shell (000_c823e84cea3f08ff.txt, "run.sh の改善")
set -eu
exec /opt/whisper/WhisperBackendAPI
