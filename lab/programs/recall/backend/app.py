"""Stands for the Recall API in the lab: a real Flask app for a real Gunicorn, with the paths of its document."""

import os
import time

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/healthz")
def healthz():
    return "ok"


@app.get("/readyz")
def readyz():
    if os.environ.get("FAILS") == "always":
        return "no database", 503
    return "ready"


@app.get("/version")
def version():
    return jsonify(version=os.environ.get("VERSION", "1"), worker=os.getpid())


@app.get("/ai/propose")
def propose():
    time.sleep(0.02)
    return jsonify(proposal="remember", has_key="API_KEY" in os.environ)


@app.get("/ai/broken")
def answer_broken():
    return "model gone", 500


@app.get("/internal")
def internal():
    return "not for the public"
