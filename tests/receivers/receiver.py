"""A receiver as its users write it: checks what comes with its provider's own library alone.

usage: python receiver.py PROVIDER KEY

Answers 204 to what the library accepts and 401, with what the library says, to anything else. Prints its port,
then a line of JSON for every request; ends when its input does.
"""

import base64
import hashlib
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

name, key = sys.argv[1:]


# Each gives a function that raises, or returns False, where its library refuses.


def standard_webhooks():
    from standardwebhooks import Webhook

    return lambda r: Webhook(key).verify(r.body, r.fields)


def svix():
    from svix.webhooks import Webhook

    return lambda r: Webhook(key).verify(r.body, r.fields)


def slack():
    from slack_sdk.signature import SignatureVerifier

    return lambda r: SignatureVerifier(key).is_valid_request(r.body, r.fields)


def square():
    from square.utils.webhooks_helper import verify_signature

    return lambda r: verify_signature(
        request_body=r.body.decode(),
        signature_header=r.fields["x-square-hmacsha256-signature"],
        signature_key=key,
        notification_url=r.url,
    )


def hubspot():
    from hubspot.utils.signature import Signature

    return lambda r: Signature.is_valid(
        signature=r.fields["x-hubspot-signature-v3"],
        client_secret=key,
        request_body=r.body.decode(),
        http_uri=r.url,
        http_method=r.command,
        signature_version="v3",
        timestamp=r.fields["x-hubspot-request-timestamp"],
    )


def adyen():
    from Adyen.util import is_valid_hmac_notification

    return lambda r: is_valid_hmac_notification(json.loads(r.body), key) is True


def aws_sigv4():
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    known = json.loads(key)
    credentials = Credentials(known["id"], known["secret"], known["token"])
    signer = S3SigV4Auth if known["service"] == "s3" else SigV4Auth
    auth = signer(credentials, known["service"], known["region"])

    def verify(r):
        """Signs what came anew, as AWS's client would, and compares."""
        kind, _, parameters = r.fields["authorization"].partition(" ")
        sent = dict(part.strip().split("=", 1) for part in parameters.split(","))
        signed = {name: r.fields[name] for name in sent["SignedHeaders"].split(";")}
        request = AWSRequest(method=r.command, url=r.url, data=r.body, headers=signed)
        request.context["timestamp"] = r.fields["x-amz-date"]
        if "x-amz-content-sha256" in signed and signed["x-amz-content-sha256"] != auth.payload(request):
            return False
        if known["token"] and signed["x-amz-security-token"] != known["token"]:
            return False
        string_to_sign = auth.string_to_sign(request, auth.canonical_request(request))
        expected = {
            "Credential": auth.scope(request),
            "SignedHeaders": auth.signed_headers(auth.headers_to_sign(request)),
            "Signature": auth.signature(string_to_sign, request),
        }
        return kind == "AWS4-HMAC-SHA256" and sent == expected

    return verify


def jwt():
    """`key` is JSON: {"key": PEM of the public key, or a text, "algorithm"}. The digest of the body is a claim
    that its receiver compares by itself."""
    import jwt

    known = json.loads(key)

    def verify(r):
        kind, _, token = r.fields["authorization"].partition(" ")
        claims = jwt.decode(
            token,
            known["key"],
            algorithms=[known["algorithm"]],
            issuer="acme",
            audience=r.url,
            options={"require": ["exp", "iat", "jti"]},
        )
        digest = base64.b64encode(hashlib.sha256(r.body).digest()).decode()
        is_known = jwt.get_unverified_header(token)["kid"] == "k1"
        return kind == "Bearer" and is_known and claims["request_body_sha256"] == digest

    return verify


def http_message_signatures():
    """`key` is JSON: {"key": PEM of the public key, or a text, "algorithm", "components": [names that must be
    covered]}."""
    import datetime

    import requests
    from requests_http_signature import HTTPSignatureAuth, MappingKeyResolver, algorithms

    known = json.loads(key)
    name = known["algorithm"].upper().replace("-", "_")
    keys = MappingKeyResolver(public_keys={"k1": known["key"].encode()}, private_keys={})

    def verify(r):
        request = requests.Request(r.command, r.url, headers=r.fields, data=r.body).prepare()
        found = HTTPSignatureAuth.verify(
            request,
            require_components=known["components"],
            signature_algorithm=getattr(algorithms, name),
            key_resolver=keys,
            max_age=datetime.timedelta(minutes=5),
        )
        return found.body == r.body

    return verify


providers = [
    standard_webhooks,
    svix,
    slack,
    square,
    hubspot,
    adyen,
    aws_sigv4,
    jwt,
    http_message_signatures,
]
verify = {f.__name__: f for f in providers}[name]()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.body = self.rfile.read(int(self.headers["content-length"]))
        self.fields = {name.lower(): value for name, value in self.headers.items()}
        self.url = f"http://{self.fields['host']}{self.path}"
        status, message = 204, ""
        try:
            if verify(self) is False:
                status, message = 401, "the library says false"
        except Exception as error:
            status, message = 401, f"{type(error).__name__}: {error}"
        seen = {"url": self.url, "headers": self.fields, "body": self.body.decode()}
        print(json.dumps(seen | {"status": status, "message": message}), flush=True)
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(message.encode())))
        self.end_headers()
        self.wfile.write(message.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
