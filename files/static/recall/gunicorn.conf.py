# Read by Gunicorn. The port is systemd's socket (recall-api.socket), bound to 127.0.0.1 only.
import multiprocessing

# 002_e1e91e02f0b71abf.txt, section 9: CPU*2+1
workers = multiprocessing.cpu_count() * 2 + 1
# Both to the journal
accesslog = "-"
errorlog = "-"
graceful_timeout = 25
