"""What schemathesis has to know of Tidelock: whose token an operation takes, what exists already, how a
payload is signed, and which answers of 5xx are business."""
import hashlib
import json
import os
import random
import urllib.request
import uuid

import schemathesis
from coincurve import PrivateKey
from hypothesis import strategies
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

with open(os.environ["TIDELOCK_CAST"], encoding="utf-8") as file:
    CAST = json.load(file)

OPERATOR = "/api/operator/v1"
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


# ------------------------------------------------------------------------------------ whose token


def party(path):
    """Who asks for an operation."""
    if path.startswith("/api/operator/"):
        return "operator"
    rest = path.split("{enterpriseId}", 1)[-1]
    # Create Partner and settlements are the partner's; everybody reads the lists of partners.
    return "partner" if rest.startswith("/partners") else "client"


@schemathesis.auth(cache_by_key=lambda case, context: party(case.path))
class Tokens:
    def get(self, case, context):
        return CAST[party(case.path)]["token"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


# ---------------------------------------------------------------------------------- what there is


def ask(who, path, body=None):
    """The answer to a GET, or to a PUT if there is a body."""
    request = urllib.request.Request(
        CAST["network"] + path,
        data=None if body is None else json.dumps(body).encode(),
        method="GET" if body is None else "PUT",
        headers={"Authorization": f"Bearer {CAST[who]['token']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def known():
    """The ids of what the demo has made, by the names that paths and bodies have for them."""
    clients = f"/api/network/v1/enterprises/{CAST['client']['enterprise']}/clients"
    connection = ask("client", f"{clients}/connections")["connections"][0]
    allocation = ask("client", f"{clients}/allocations")["allocations"][0]
    settlements = ask("client", f"{clients}/settlements")["settlements"]
    settlement = settlements[0].get("settlement", settlements[0])
    return {
        "connectionId": connection["id"],
        "partnerId": connection["partnerId"],
        "clientId": connection["clientId"],
        "allocationId": allocation["id"],
        "deallocationId": allocation["id"],
        "settlementId": settlement["id"],
        "goAccountId": "c1000000000000000000000000000001",
        "userId": "c0000000000000000000000000000001",
        "ticker": "ofcbtc",
    }


KNOWN = known()


def standing():
    """What the parties themselves stand on: whoever took it away would make all that follows be refused."""
    lists = {
        "tokens": "accessTokens",
        "users": "users",
        "enterprises": "enterprises",
        "partnerConfigurations": "partnerConfigurations",
    }
    for path, member in lists.items():
        for record in ask("operator", f"{OPERATOR}/{path}")[member]:
            yield record.get("id") or record["institutionIdentifier"]
    for account in ask("operator", f"{OPERATOR}/goAccounts")["goAccounts"]:
        for key in ask("operator", f"{OPERATOR}/goAccounts/{account['id']}/keys")["keys"]:
            yield key["id"]


STANDING = set(standing())
# Changed and put right again, by the paths of the operations.
RIGHTED = {
    f"{OPERATOR}/clients/{{clientId}}": {"suspended": False},
    f"{OPERATOR}/connections/{{connectionId}}": {"suspended": False},
    f"{OPERATOR}/partners/{{partnerId}}": {"active": True},
}


# Those of Hypothesis are few: operations whose path has nothing else would be called four times.
NUMBERS = strategies.integers(min_value=0, max_value=2**128 - 1)
schemathesis.openapi.format("uuid", NUMBERS.map(lambda number: str(uuid.UUID(int=number))))


# -------------------------------------------------------------------------------------- signatures


def private_key(xprv):
    number = 0
    for character in xprv:
        number = number * 58 + ALPHABET.index(character)
    # 78 bytes and a checksum of four; the key is the last 32 of the 78.
    return PrivateKey(number.to_bytes(82, "big")[46:78])


KEYS = {who: private_key(CAST[who]["signingKey"]) for who in ("client", "partner")}


def length(count):
    if count < 0xFD:
        return bytes([count])
    if count <= 0xFFFF:
        return b"\xfd" + count.to_bytes(2, "little")
    return b"\xfe" + count.to_bytes(4, "little")


def sign(key, payload):
    text = payload.encode()
    message = b"\x18Bitcoin Signed Message:\n" + length(len(text)) + text
    digest = hashlib.sha256(hashlib.sha256(message).digest()).digest()
    made = key.sign_recoverable(digest, hasher=None)
    return (bytes([31 + made[64]]) + made[:64]).hex()


def signed(key, body):
    content = {name: value for name, value in body.items() if name not in ("payload", "signature")}
    payload = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return {**content, "payload": payload, "signature": sign(key, payload)}


def chances(case):
    """Draws that are the same for the same case: what is found can be found again. Hypothesis seeds the
    draws of the module anew for every case, which makes them the same for all."""
    return random.Random(repr((case.path, case.path_parameters, case.query, case.body)))


def plausible(value, draws, name=None):
    """A body with names of what there is in the place of made-up ones, most of the time."""
    if isinstance(value, dict):
        return {member: plausible(inner, draws, member) for member, inner in value.items()}
    if isinstance(value, list):
        return [plausible(inner, draws, name) for inner in value]
    if name in KNOWN and isinstance(value, str) and draws.random() < 0.8:
        return KNOWN[name]
    if name == "currency" and isinstance(value, str) and draws.random() < 0.8:
        return "ofcbtc"
    if name == "nonce" and isinstance(value, str) and value and draws.random() < 0.8:
        return uuid.uuid4().hex
    return value


@schemathesis.hook
def map_case(context, case):
    """Right requests name what there is and are signed; wrong ones stay as wrong as they were made."""
    who = party(case.path)
    draws = chances(case)
    parameters = case.path_parameters
    changes = who == "operator" and case.method != "GET"
    made_right = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if isinstance(parameters, dict):
        if who != "operator" and "enterpriseId" in parameters and draws.random() < 0.95:
            parameters["enterpriseId"] = CAST[who]["enterprise"]
        for name, value in parameters.items():
            if made_right and name in KNOWN and draws.random() < 0.8:
                parameters[name] = value = KNOWN[name]
            if changes and value in STANDING:
                parameters[name] = str(uuid.uuid4()) if "-" in value else uuid.uuid4().hex
    if made_right and isinstance(case.body, dict):
        case.body = plausible(case.body, draws)
        if "payload" in case.body and who in KEYS and draws.random() < 0.9:
            case.body = signed(KEYS[who], case.body)
    return case


@schemathesis.hook
def after_call(context, case, response):
    if case.method == "PUT" and case.path in RIGHTED and response.status_code == 200:
        name = case.path.rsplit("{", 1)[-1].rstrip("}")
        ask("operator", case.path.replace(f"{{{name}}}", case.path_parameters[name]), RIGHTED[case.path])


# ------------------------------------------------------------------------------------------ checks


@schemathesis.check
def wrong_requests_are_refused(ctx, response, case):
    """What the schema refuses is refused, but for empty texts in the query: they are no filter, whatever
    a value that is there looks like."""
    query = case.query.values() if isinstance(case.query, dict) else []
    if any(value == "" or isinstance(value, list) and "" in value for value in query):
        return
    negative_data_rejection(ctx, response, case)


@schemathesis.check
def parties_are_known(ctx, response, case):
    """The tokens of the parties count to the end: where everybody is refused nothing is checked."""
    sent = response.request.headers.get("Authorization")
    if response.status_code == 401 and sent == f"Bearer {CAST[party(case.path)]['token']}":
        assert response.json()["name"] != "invalid_token", "the token was taken away"


@schemathesis.check
def server_errors_are_business(ctx, response, case):
    """5xx only where it is business: a settlement that failed for want of funds (500 with the
    settlement, as the protocol has it), and what is refused for now (503 by one of its names)."""
    if response.status_code < 500:
        return
    body = response.json()
    settlement = body.get("settlement") or {}
    if response.status_code == 500 and settlement.get("status") == "failed":
        return
    if response.status_code == 503 and body.get("name") in ("busy", "outcome_unknown"):
        return
    raise AssertionError(f"{response.status_code}: {body.get('name')}: {body.get('error')}")


@schemathesis.check
def errors_have_their_form(ctx, response, case):
    """Every refusal says what, by which name, and of which request."""
    if response.status_code < 400 or not case.path.startswith("/api/"):
        return
    body = response.json()
    for member in ("error", "name", "requestId"):
        assert isinstance(body.get(member), str) and body[member], f"an error without {member}"
    if response.status_code == 400:
        assert body.get("errors"), "400 without errors"
    assert body["requestId"] == response.headers["request-id"][0]
