"""A server that asks for HTTP Digest authentication, with the checks of Flask-HTTPAuth and of httpbin.

usage: python digest-server.py ALGORITHM QOP USER PASSWORD

Flask-HTTPAuth checks MD5 and MD5-sess with QOP `auth` or `none`, and takes a nonce that it gave three times;
httpbin checks MD5, SHA-256 and SHA-512 with `auth` or `auth-int`, and takes any nonce.
Prints its port, then a line of JSON for every request; ends when its input does.
"""

import json
import logging
import os
import secrets
import sys
import threading

from flask import Flask, Response, request
from flask_httpauth import HTTPDigestAuth
from httpbin import helpers
from werkzeug.serving import make_server

USES_OF_A_NONCE = 3
algorithm, qop, user, password = sys.argv[1:]
app = Flask(__name__)
app.secret_key = secrets.token_hex()


def flask_httpauth():
    """Gives the challenge, or None where the request is authentic."""
    auth = HTTPDigestAuth(realm="interop", qop=None if qop == "none" else qop, algorithm=algorithm)
    left, opaque = {}, secrets.token_hex()

    @auth.generate_nonce
    def generate_nonce():
        nonce = secrets.token_hex()
        left[nonce] = USES_OF_A_NONCE
        return nonce

    @auth.verify_nonce
    def verify_nonce(nonce):
        left[nonce] = left.get(nonce, 0) - 1
        return left[nonce] >= 0

    auth.generate_opaque(lambda: opaque)
    auth.verify_opaque(lambda given: given == opaque)
    auth.get_password(lambda name: password if name == user else None)
    guarded = auth.login_required(lambda: None)
    return lambda: guarded()


def httpbin():
    def challenge():
        if helpers.check_digest_auth(user, password):
            return None
        return helpers.digest_challenge_response(app, qop, algorithm)

    return challenge


is_flask = algorithm.startswith("MD5") and qop != "auth-int"
challenge = flask_httpauth() if is_flask else httpbin()


@app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT"])
@app.route("/<path:path>", methods=["GET", "POST", "PUT"])
def take(path):
    refusal = challenge()
    seen = {"path": request.path, "status": refusal.status_code if refusal else 204}
    print(json.dumps(seen | {"asked": "Authorization" not in request.headers}), flush=True)
    return refusal or Response(status=204)


logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
