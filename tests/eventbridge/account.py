"""An AWS account with the connections, API destinations and rules of fixtures/eventbridge, in an emulator.

usage: python account.py FOLDER
Prints the emulator's address, and ends when its standard input does.
"""

import json
import pathlib
import sys

import boto3
from moto.server import ThreadedMotoServer

folder = pathlib.Path(sys.argv[1])
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"
client = boto3.client(
    "events", endpoint_url=url, region_name="eu-west-1",
    aws_access_key_id="test", aws_secret_access_key="test",
)


def saved(kind):
    return [json.loads(path.read_text()) for path in sorted((folder / kind).glob("*.json"))]


def values(arn):
    """What get-secret-value printed of a connection."""
    texts = [secret["SecretString"] for secret in saved("secrets") if secret["ARN"] == arn]
    return json.loads(texts[0]) if texts else {}


def with_secrets(parameters, secret):
    """A description leaves secret values out; whoever makes a connection gives them."""
    for kind, key in (("HeaderParameters", "header_parameters"), ("BodyParameters", "body_parameters")):
        known = {entry["key"]: entry["value"] for entry in secret.get(key, [])}
        for entry in parameters.get(kind, []):
            entry.setdefault("Value", known.get(entry["Key"]))


arns = {}
for connection in saved("connections"):
    parameters, secret = connection["AuthParameters"], values(connection["SecretArn"])
    if key := parameters.get("ApiKeyAuthParameters"):
        key["ApiKeyValue"] = secret["api_key_value"]
    if basic := parameters.get("BasicAuthParameters"):
        basic["Password"] = secret.get("password", "a-password")
    if oauth := parameters.get("OAuthParameters"):
        oauth["ClientParameters"]["ClientSecret"] = secret["client_secret"]
        with_secrets(oauth["OAuthHttpParameters"], secret["oauth_http_parameters"])
    with_secrets(parameters.get("InvocationHttpParameters", {}), secret.get("invocation_http_parameters", {}))
    made = client.create_connection(
        Name=connection["Name"], AuthorizationType=connection["AuthorizationType"], AuthParameters=parameters,
    )
    arns[connection["ConnectionArn"]] = made["ConnectionArn"]
for destination in saved("api-destinations"):
    if destination["ConnectionArn"] in arns:
        made = client.create_api_destination(
            Name=destination["Name"], ConnectionArn=arns[destination["ConnectionArn"]],
            InvocationEndpoint=destination["InvocationEndpoint"], HttpMethod=destination["HttpMethod"],
            InvocationRateLimitPerSecond=destination["InvocationRateLimitPerSecond"],
        )
        arns[destination["ApiDestinationArn"]] = made["ApiDestinationArn"]
for bus in {rule["EventBusName"] for rule in saved("rules")} - {"default"}:
    client.create_event_bus(Name=bus)
for path in sorted((folder / "rules").glob("*.json")):
    rule = json.loads(path.read_text())
    named = {"EventBusName": rule["EventBusName"]}
    client.put_rule(Name=rule["Name"], EventPattern=rule["EventPattern"], State=rule["State"], **named)
    targets = json.loads((folder / "targets" / path.name).read_text())["Targets"]
    for target in targets:
        target["Arn"] = arns.get(target["Arn"], target["Arn"])
    client.put_targets(Rule=rule["Name"], Targets=targets, **named)
print(url, flush=True)
sys.stdin.read()
server.stop()
