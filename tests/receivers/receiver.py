"""A receiver as its users write it: checks what comes with its provider's own library alone.

usage: python receiver.py PROVIDER KEY

Answers 204 to what the library accepts and 401, with what the library says, to anything else. Prints its port,
then a line of JSON for every request; ends when its input does.
"""

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


providers = {f.__name__: f for f in [standard_webhooks, svix, slack, square, hubspot, adyen]}
verify = providers[name]()


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
