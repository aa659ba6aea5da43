#!/bin/bash
# 003_08405467da9b08a1.txt, "Monitoring"; run by vocoder-monitor.timer
systemctl --user is-active vocoder.service || \
  systemctl --user restart vocoder.service
