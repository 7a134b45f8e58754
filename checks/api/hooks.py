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
from schemathesis import GenerationMode

with open(os.environ["TIDELOCK_CAST"], encoding="utf-8") as file:
    CAST = json.load(file)

NETWORK = "/api/network/"
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


def ask(who, tail):
    enterprise = CAST[who]["enterprise"]
    request = urllib.request.Request(
        f"{CAST['network']}/api/network/v1/enterprises/{enterprise}{tail}",
        headers={"Authorization": f"Bearer {CAST[who]['token']}"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def known():
    """The ids of what the demo has made, by the names that paths and bodies have for them."""
    connection = ask("client", "/clients/connections")["connections"][0]
    allocation = ask("client", "/clients/allocations")["allocations"][0]
    settlements = ask("client", "/clients/settlements")["settlements"]
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


def plausible(value, name=None):
    """A body with names of what there is in the place of made-up ones, most of the time."""
    if isinstance(value, dict):
        return {member: plausible(inner, member) for member, inner in value.items()}
    if isinstance(value, list):
        return [plausible(inner, name) for inner in value]
    if name in KNOWN and isinstance(value, str) and random.random() < 0.8:
        return KNOWN[name]
    if name == "currency" and isinstance(value, str) and random.random() < 0.8:
        return "ofcbtc"
    if name == "nonce" and isinstance(value, str) and value and random.random() < 0.8:
        return uuid.uuid4().hex
    return value


@schemathesis.hook
def map_case(context, case):
    """Right requests name what there is and are signed; wrong ones stay as wrong as they were made."""
    who = party(case.path)
    parameters = case.path_parameters
    if isinstance(parameters, dict):
        if case.path.startswith(NETWORK) and "enterpriseId" in parameters and random.random() < 0.95:
            parameters["enterpriseId"] = CAST[who]["enterprise"]
    made_right = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if not made_right:
        return case
    if isinstance(parameters, dict):
        for name in parameters:
            if name in KNOWN and random.random() < 0.8:
                parameters[name] = KNOWN[name]
    if isinstance(case.body, dict):
        case.body = plausible(case.body)
        if "payload" in case.body and who in KEYS and random.random() < 0.9:
            case.body = signed(KEYS[who], case.body)
    return case


# ------------------------------------------------------------------------------------------ checks


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
