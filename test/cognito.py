#!/usr/bin/python3
"""The local Cognito of the tests and the demo: the operations on user and identity pools that the extension uses.

    cognito.py run CMD…            serve while CMD runs, with COGNITO_ENDPOINT set to the server's URL
    cognito.py serve [--tls DIR]   print the URL, serve until SIGTERM or the end of standard input;
                                   with --tls as https, with a certificate of the new CA DIR/ca.pem,
                                   and print a second URL: the same without TLS

It listens on a free port of 127.0.0.1, and checks each request as strictly as AWS does: its signature with
botocore's own signer, its body with AWS's models of the services, which model.json pins. `GET /_violations` lists what
was malformed.

Pools: <region>_UsersN has N generated users, for any N, and <region>_OldUsersN too, whose subs are random UUIDs as in
pools made before 2024; eu-west-1_AbCdEf123 has the 300 people of the demo, and
eu-west-1:11111111-2222-4333-8444-555555555555 is the demo's identity pool. Tests add others through the control
interface: the paths that begin with `/_` (see Cognito.handle_control). A region lists all its pools but the generated
ones.
"""

import base64
import calendar
import email.utils
import functools
import hashlib
import itertools
import json
import os
import re
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

import aws_credentials

MODEL_FILE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "model.json")  # pin-model writes it
with open(MODEL_FILE, encoding="ascii") as _file:
    MODELS = {model["metadata"]["targetPrefix"]: ServiceModel(model, name)
              for name, model in json.load(_file)["services"].items()}
CONTENT_TYPE = "application/x-amz-json-1.1"
SIGNED_ALWAYS = {"content-type", "host", "x-amz-date", "x-amz-target"}
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})")
DATE_FORMAT = "%Y%m%dT%H%M%SZ"
KEYS_PATH = re.compile(r"/([^/]+)/\.well-known/jwks\.json")
MAX_SKEW = 300  # seconds


# ---- Users, groups, pools ----

DEMO_DATES = {"CreationDate": 1_640_995_200.5, "LastModifiedDate": 1_672_531_200.25}

GIVEN = "Ana Aoife Björn Emma Hana Isaac João Kwame Layla Liam Maria Mehmet Ngọc Noah Oskar Priya Sara Tomáš Yuki Zoë"
FAMILY = "Čapek Dubois Garcia Haddad Ivanov Kovács Larsen Mensah Müller Nguyễn O'Brien Patel Sato Smith Wang"
RARE_STATUSES = ("UNCONFIRMED", "EXTERNAL_PROVIDER", "ARCHIVED", "COMPROMISED", "UNKNOWN", "RESET_REQUIRED",
                 "FORCE_CHANGE_PASSWORD")


def digest(username):
    """Return 16 bytes that depend on the user name only: the source of its sub and of what varies between users."""
    return hashlib.md5(username.encode()).digest()


def new_sub(username):
    """Return a sub as in pools made since 2024: of the first eight digits, every second one is the pool's."""
    d = digest(username).hex()
    return f"{d[0]}4{d[1]}8{d[2]}4{d[3]}8-{d[4]}0{d[5]}1-70{d[6:8]}-{d[8:12]}-{d[12:24]}"


def old_sub(username):
    """Return a sub as in pools made before 2024: a random UUID."""
    return str(uuid.UUID(bytes=digest(username), version=4))


def user_type(username, attributes, status, enabled, created, modified, mfa, make_sub=new_sub):
    """Return a user as ListUsers returns it, without the attributes that are None."""
    attributes = {"sub": make_sub(username), **attributes}
    return {
        "Username": username,
        "Attributes": [{"Name": name, "Value": value} for name, value in attributes.items() if value is not None],
        "UserCreateDate": round(created, 3),
        "UserLastModifiedDate": round(modified, 3),
        "Enabled": enabled,
        "UserStatus": status,
        **({"MFAOptions": [{"DeliveryMedium": "SMS", "AttributeName": "phone_number"}]} if mfa else {}),
    }


@functools.lru_cache(maxsize=20_000)
def generated_user(number, make_sub):
    """Return user `number` of any generated pool."""
    username = f"user{number:06d}"
    attributes = {
        "email": f"{username}@example.com",
        "email_verified": "true" if number % 3 else "false",
        "name": f"User {number}",
        "phone_number": f"+1555{number:07d}",
        "custom:tenant": f"tenant-{number % 7}",
    }
    status = "CONFIRMED" if number % 8 else RARE_STATUSES[number // 8 % len(RARE_STATUSES)]
    created = 1_600_000_000.25 + 60 * number
    return user_type(username, attributes, status, number % 10 != 0, created, created + 3600.5, number % 25 == 0,
                     make_sub)


class GeneratedUsers(Sequence):
    """Users 1 to `count`, each generated on access."""

    def __init__(self, count, make_sub):
        self.numbers, self.make_sub = range(1, count + 1), make_sub

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        numbers = self.numbers[index]
        if isinstance(index, slice):
            return [generated_user(n, self.make_sub) for n in numbers]
        return generated_user(numbers, self.make_sub)


def demo_user(given, family):
    """Return a person of the demo pool; the user name is the name in ASCII."""
    username = unicodedata.normalize("NFKD", f"{given}.{family}").encode("ascii", "ignore").decode().lower()
    hashed = digest(username)
    address = f"{username}@example.com" if hashed[1] > 25 else None
    phone = f"+4930{hashed[2]:03d}{hashed[3]:03d}" if hashed[2] < 100 else None
    attributes = {
        "email": address,
        "email_verified": address and ("true" if hashed[3] < 220 else "false"),
        "name": f"{given} {family}",
        "given_name": given,
        "family_name": family,
        "phone_number": phone,
        "phone_number_verified": phone and "true",
        "custom:plan": "free" if hashed[4] < 150 else "pro" if hashed[4] < 225 else "enterprise",
    }
    status = "CONFIRMED" if hashed[5] < 200 else RARE_STATUSES[hashed[5] % len(RARE_STATUSES)]
    created = 1_640_995_200 + int.from_bytes(hashed[9:12], "big") * 5.625
    modified = created + 86_400.001 * hashed[12]
    return user_type(username, attributes, status, hashed[7] > 20, created, modified, phone and hashed[9] < 128)


def demo_pool():
    """Return the demo pool: 300 people in no apparent order, as in Cognito, and three groups."""
    users = [demo_user(*names) for names in itertools.product(GIVEN.split(), FAMILY.split())]
    users.sort(key=lambda user: digest(user["Username"])[::-1])
    usernames = [user["Username"] for user in users]
    groups = [{"GroupName": name, "Description": f"May {rights} documents", "Precedence": rank, **DEMO_DATES}
              for rank, (name, rights) in enumerate({"admins": "manage", "editors": "edit", "viewers": "read"}.items())]
    return Pool(
        "eu-west-1_AbCdEf123", users, groups,
        {"admins": usernames[::60], "editors": usernames[::7], "viewers": usernames[::2]},
        clients=[
            {"ClientId": "1example23456789", "ClientName": "web", "ClientSecret": "9example87654321", **DEMO_DATES,
             "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"], "RefreshTokenValidity": 30},
            {"ClientId": "2example34567890", "ClientName": "phone", **DEMO_DATES,
             "ExplicitAuthFlows": ["ALLOW_CUSTOM_AUTH"], "RefreshTokenValidity": 90}],
        identity_providers=[
            {"ProviderName": "Google", "ProviderType": "Google", **DEMO_DATES, "AttributeMapping": {"email": "email"},
             "ProviderDetails": {"client_id": "3example45678901", "client_secret": "8example76543210",
                                 "authorize_scopes": "email openid"}},
            {"ProviderName": "example-corp", "ProviderType": "SAML", **DEMO_DATES, "IdpIdentifiers": ["example.com"],
             "ProviderDetails": {"MetadataURL": "https://login.example.com/metadata"}}],
        details={"Name": "demo", "MfaConfiguration": "OPTIONAL", "DeletionProtection": "ACTIVE", **DEMO_DATES,
                 "Policies": {"PasswordPolicy": {"MinimumLength": 12, "RequireNumbers": True}}})


def demo_identity_pool():
    """Return the demo identity pool: seven identities, every third of which has not logged in."""
    identities = [{"IdentityId": f"eu-west-1:{uuid.UUID(bytes=digest(str(i)), version=4)}",
                   "Logins": [["accounts.google.com"], ["accounts.google.com", "login.example.com"], []][i % 3],
                   "CreationDate": 1_650_000_000.125 + 3600 * i, "LastModifiedDate": 1_660_000_000 + 60 * i}
                  for i in range(7)]
    return IdentityPool("eu-west-1:11111111-2222-4333-8444-555555555555", identities,
                        {"IdentityPoolName": "demo", "AllowUnauthenticatedIdentities": True, "AllowClassicFlow": False,
                         "DeveloperProviderName": "login.example.com"})


@dataclass(eq=False)
class Pages:
    """How the listings of a resource are divided into pages."""

    empty_pages: int = field(default=0, kw_only=True)
    token_length: int = field(default=0, kw_only=True)
    ignore_limit: bool = field(default=False, kw_only=True)


@dataclass(eq=False)
class Account(Pages):
    """The pools of a region (fields as of `PUT /_account/<region>`)."""

    region: str
    user_pools: Sequence = ()
    identity_pools: Sequence = ()


@dataclass(eq=False)
class IdentityPool(Pages):
    """An identity pool (fields as of `PUT /_identity_pool/<id>`)."""

    id: str
    identities: Sequence = ()
    details: dict = field(default_factory=dict)

    def __post_init__(self):
        name = self.id.partition(":")[2]
        self.details = {"IdentityPoolId": self.id, "IdentityPoolName": name, "AllowUnauthenticatedIdentities": False,
                        **self.details}


@dataclass(eq=False)
class Pool(Pages):
    """A user pool (fields as of `PUT /_pool/<id>`)."""

    id: str
    users: Sequence = ()
    groups: Sequence = ()
    memberships: dict = field(default_factory=dict)
    clients: Sequence = ()
    identity_providers: Sequence = ()
    details: dict = field(default_factory=dict)
    ignore_filter: bool = False

    def __post_init__(self):
        self.groups = [{"UserPoolId": self.id, **group} for group in self.groups]
        names = [group.get("GroupName") for group in self.groups]
        self.memberships = {name: set(self.memberships.get(name, ())) for name in names}
        self.clients = [{"UserPoolId": self.id, **client} for client in self.clients]
        self.identity_providers = [{"UserPoolId": self.id, **provider} for provider in self.identity_providers]
        region, _, name = self.id.partition("_")
        self.details = {"Id": self.id, "Name": name, "EstimatedNumberOfUsers": len(self.users),
                        "Arn": f"arn:aws:cognito-idp:{region}:123456789012:userpool/{self.id}", **self.details}

    def user(self, name):
        """Return the user with that name, or the local user with that sub."""
        local = (user for user in self.users if user.get("UserStatus") != "EXTERNAL_PROVIDER")
        for attribute, users in (("username", self.users), ("sub", local)):
            for user in users:
                if filter_value(user, attribute) == name:
                    return user
        raise ServiceError("UserNotFoundException", "User does not exist.")

    def client(self, client_id):
        for client in self.clients:
            if client.get("ClientId") == client_id:
                return client
        raise ServiceError("ResourceNotFoundException", f"User pool client {client_id} does not exist.")

    def identity_provider(self, name):
        for provider in self.identity_providers:
            if provider.get("ProviderName") == name:
                return provider
        raise ServiceError("ResourceNotFoundException", f"Identity provider {name} does not exist.")

    def members(self, group):
        if group not in self.memberships:
            raise ServiceError("ResourceNotFoundException", "Group not found.")
        return self.memberships[group]

    @functools.lru_cache(maxsize=1000)
    def search(self, text):
        """Return the users that match a filter, sorted by its attribute."""
        if not text or self.ignore_filter:
            return self.users
        name, operator, value = parse_filter(text)
        if operator == "=":
            return [self.users[i] for i in self.positions(name).get(value, ())]
        return sorted((user for user in self.users if (filter_value(user, name) or "").startswith(value)),
                      key=lambda user: filter_value(user, name))

    @functools.cache
    def positions(self, name):
        """Return the positions of the users with each value of an attribute."""
        positions = {}
        for i, user in enumerate(self.users):
            positions.setdefault(filter_value(user, name), []).append(i)
        return positions


@functools.cache
def generated_pool(pool_id):
    """Return the generated pool with that id, or None if the id is not of a generated pool."""
    generated = re.fullmatch(r"[\w-]+_(Old)?Users(\d+)", pool_id)
    return generated and Pool(pool_id, GeneratedUsers(int(generated[2]), old_sub if generated[1] else new_sub))


# ---- Operations ----

FILTER = re.compile(r'\s*([^\s=^"]+)\s*(\^?=)\s*"((?:\\"|[^"\\]|\\(?!"))*)"\s*')
SEARCHABLE = {"username", "email", "phone_number", "name", "given_name", "family_name", "preferred_username",
              "cognito:user_status", "status", "sub"}


def filter_value(user, name):
    """Return the value of a user that a filter compares, or None if the user has none."""
    if name == "username":
        return user.get("Username")
    if name == "status":
        return "Enabled" if user.get("Enabled") else "Disabled"
    if name == "cognito:user_status":
        return user.get("UserStatus", "").upper()
    return next((item.get("Value") for item in user.get("Attributes", ()) if item.get("Name") == name), None)


def parse_filter(text):
    """Return the attribute, operator and value of `attribute = "value"` or `attribute ^= "value"`."""
    parts = FILTER.fullmatch(text)
    if not parts:
        raise ServiceError("InvalidParameterException", "Error while parsing filter.")
    name, operator, value = parts[1], parts[2], parts[3].replace('\\"', '"')
    if name not in SEARCHABLE:
        raise ServiceError("InvalidParameterException", f"Invalid search attribute: {name}")
    if name == "cognito:user_status":  # the only attribute that is compared case-insensitively
        value = value.upper()
    return name, operator, value


def page_token(resource, listing, number):
    """Return the token of a page, valid only for this page of a listing with the same parameters."""
    seal = hashlib.sha512(json.dumps([number, listing], sort_keys=True).encode()).digest()
    return f"{number}.{base64.b64encode(seal).decode()}".ljust(resource.token_length, "+")


def page(resource, parameters, key, items, token_key="NextToken"):
    """Return the requested page. Each page with items, also the last one, is followed by `empty_pages` empty ones."""
    size = len(items) or 1 if resource.ignore_limit else parameters.get("Limit") or parameters.get("MaxResults") or 60
    pages = (-(-len(items) // size) or 1) * (resource.empty_pages + 1)
    listing, token, number = {**parameters, "listed": key}, parameters.get(token_key), 0
    listing.pop(token_key, None)
    if token is not None:
        start = re.match(r"(\d{1,9})\.", token)
        number = int(start[1]) if start else 0
        if token != page_token(resource, listing, number):
            raise ServiceError("InvalidParameterException", "Invalid pagination token given.")
    full, empty = divmod(number, resource.empty_pages + 1)
    more = {token_key: page_token(resource, listing, number + 1)} if number + 1 < pages else {}
    return {key: [] if empty else items[full * size:(full + 1) * size], **more}


def parts(items, *keys):
    """Return these members of each item, as far as it has them."""
    return [{key: item[key] for key in keys if key in item} for item in items]


def list_users(pool, query):
    if "AttributesToGet" in query:
        raise MalformedRequest("InvalidParameterException", "AttributesToGet is not served here")
    return page(pool, query, "Users", pool.search(query.get("Filter")), "PaginationToken")


def list_users_in_group(pool, query):
    members = pool.members(query["GroupName"])
    return page(pool, query, "Users", [user for user in pool.users if user.get("Username") in members])


def list_groups_for_user(pool, query):
    username = pool.user(query["Username"])["Username"]
    return page(pool, query, "Groups",
                [group for group in pool.groups if username in pool.members(group.get("GroupName"))])


def get_user(pool, query):
    user = pool.user(query["Username"])
    return {"UserAttributes" if key == "Attributes" else key: value for key, value in user.items()}


def list_clients(pool, query):
    return page(pool, query, "UserPoolClients", parts(pool.clients, "ClientId", "UserPoolId", "ClientName"))


def list_identity_providers(pool, query):
    return page(pool, query, "Providers",
                parts(pool.identity_providers, "ProviderName", "ProviderType", "CreationDate", "LastModifiedDate"))


# Each function takes the resource that the request names (a user pool, an identity pool or an account's region) and the
# request's parameters, and returns the response's content, or None for an empty body
OPERATIONS = {
    "ListUsers": list_users,
    "ListGroups": lambda pool, query: page(pool, query, "Groups", pool.groups),
    "ListUsersInGroup": list_users_in_group,
    "AdminListGroupsForUser": list_groups_for_user,
    "AdminGetUser": get_user,
    "AdminAddUserToGroup":
        lambda pool, query: pool.members(query["GroupName"]).add(pool.user(query["Username"])["Username"]),
    "AdminRemoveUserFromGroup":
        lambda pool, query: pool.members(query["GroupName"]).discard(pool.user(query["Username"])["Username"]),
    "DescribeUserPool": lambda pool, query: {"UserPool": pool.details},
    "ListUserPoolClients": list_clients,
    "DescribeUserPoolClient": lambda pool, query: {"UserPoolClient": pool.client(query["ClientId"])},
    "ListIdentityProviders": list_identity_providers,
    "DescribeIdentityProvider":
        lambda pool, query: {"IdentityProvider": pool.identity_provider(query["ProviderName"])},
    "ListUserPools": lambda account, query: page(account, query, "UserPools", account.user_pools),
    "ListIdentityPools": lambda account, query: page(account, query, "IdentityPools", account.identity_pools),
    "DescribeIdentityPool": lambda pool, query: pool.details,
    "ListIdentities":
        lambda pool, query: {"IdentityPoolId": pool.id, **page(pool, query, "Identities", pool.identities)},
}


# ---- Requests and responses ----

class ServiceError(Exception):
    """An error response of the service."""

    def __init__(self, error, message):
        super().__init__(message)
        self.error = error


class MalformedRequest(ServiceError):
    """The response to a request that no correct client sends; it is recorded as a violation."""


class Call:
    """An API request as it was received, and the record of it that `GET /_requests` shows."""

    def __init__(self, method, path, headers, body, connection):
        self.method, self.path, self.body = method, path, body
        self.headers = {name.lower(): value for name, value in headers}
        self.repeats = len(headers) > len(self.headers)
        self.prefix, _, operation = self.headers.get("x-amz-target", "").rpartition(".")
        keys = KEYS_PATH.fullmatch(path)
        self.keys_pool = keys and keys[1]
        self.issues = aws_credentials.operation(method, path, self.headers, body)
        self.operation = self.issues or ("jwks.json" if keys else operation or None)
        self.model = MODELS.get(self.prefix)
        try:
            self.parameters = json.loads(body)
        except ValueError:
            self.parameters = aws_credentials.parameters(body) if self.issues and body else None
        self.record = {"operation": self.operation, "body": self.parameters, "headers": self.headers,
                       "connection": connection, "time": time.time(), "status": None, "error": None}


@dataclass
class Response:
    """A response: the body, and headers in addition to those that every response has."""

    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    error: str = None


def error_response(error, message, status=400, headers=None, type_in="body"):
    """Return an error response; `type_in` tells where and in which form it contains the error's type."""
    headers, content = dict(headers or {}), {"message": message}
    if type_in == "header":
        headers["x-amzn-errortype"] = error
    else:
        content["__type"] = f"com.amazonaws.cognito#{error}:http://localhost/" if type_in == "prefixed" else error
    return Response(status, json.dumps(content).encode(), headers, error)


# ---- Faults: the entries of `PUT /_faults` ----

FAULT_KINDS = {"reply", "error", "close", "stall", "delay"}
FAULT_KEYS = FAULT_KINDS | {"operation", "skip", "times", "status", "message", "headers", "type_in"}
FAULT_WORDS = {"close": ("before", "headers", "midway"), "stall": ("response", "body"), "type_in": ("body", "header", "prefixed")}


def validate_fault(entry):
    """Return the fault with its defaults and, where it has one, its response. Raise ValueError if it is invalid."""
    wrong = [word for word, values in FAULT_WORDS.items() if word in entry and entry[word] not in values]
    if wrong or not entry.keys() <= FAULT_KEYS or len(entry.keys() & FAULT_KINDS) != 1:
        raise ValueError(f"not a fault: {entry}")
    return {"skip": 0, "times": 1, **entry, "response": fault_response(entry)}


def fault_applies(fault, operation):
    """Return whether the fault applies to this request, and count the request. A negative `times` means for ever."""
    if fault["times"] == 0 or fault.get("operation", operation) != operation:
        return False
    counter = "skip" if fault["skip"] else "times"
    fault[counter] -= 1
    return counter == "times"


def reply_body(reply):
    """Return the body of a fault's reply: text, bytes in base64, or the contents of a file."""
    match reply:
        case {"body_base64": encoded}:
            return base64.b64decode(encoded)
        case {"body_file": name}:
            with open(name, "rb") as file:
                return file.read()
    return reply.get("body", "").encode()


def fault_response(fault):
    """Return the response that replaces the real one, or None if the fault leaves it as it is."""
    if "error" in fault:
        return error_response(fault["error"], fault.get("message", "Ordered by the test."), fault.get("status", 400),
                              fault.get("headers"), fault.get("type_in"))
    if "reply" in fault:
        reply = fault["reply"]
        return Response(reply.get("status", 200), reply_body(reply), reply.get("headers", {}))
    return None


# ---- Checks ----

def check_protocol(call):
    """Check the parts of AWS JSON 1.1. The port is never the scheme's default, so the host header must contain it."""
    if (call.method, call.path) != ("POST", "/") or not call.model:
        raise MalformedRequest("UnknownOperationException", f"no operation: {call.method} {call.path} {call.prefix}")
    if call.operation not in OPERATIONS or call.operation not in call.model.operation_names:
        raise MalformedRequest("UnknownOperationException", "not served here")
    if call.headers.get("content-type") != CONTENT_TYPE:
        raise MalformedRequest("UnknownOperationException", f"content-type is not {CONTENT_TYPE}")
    if call.repeats or not re.search(r":\d+$", call.headers.get("host", "")):
        raise MalformedRequest("SerializationException", "a header is sent twice, or host is without the port")


def check_shape(value, shape, name="the body"):
    """Check a value against its shape, recursively; raise ValueError on a mismatch."""
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        raise ValueError(report.generate_report())
    check_limits(value, shape, name)


def check_limits(value, shape, name):
    """Check what botocore's validator ignores: patterns, maxima, and that true is not 1."""
    limits = shape.metadata
    size = value if isinstance(value, (int, float)) else len(value)
    # Python has no \p{…}: the model uses all of these classes together, for the visible characters; Z are separators
    pattern = limits.get("pattern", "(?s).*").replace(r"\p{L}\p{M}\p{S}\p{N}\p{P}", r"\S").replace(r"\p{Z}", r"\s")
    mismatch = isinstance(value, str) and not re.fullmatch(pattern, value)
    if mismatch or size > limits.get("max", size) or isinstance(value, bool) != (shape.type_name == "boolean"):
        raise ValueError(f"Value {value!r} at {name} fails to satisfy its constraint")
    if shape.type_name == "structure":
        for member, part in value.items():
            check_limits(part, shape.members[member], member)
    if shape.type_name == "list":
        for part in value:
            check_limits(part, shape.member, name)


def check_parameters(call):
    """Check the body against the operation's shape."""
    if not isinstance(call.parameters, dict):
        raise MalformedRequest("SerializationException", "the body is not a JSON object")
    try:
        check_shape(call.parameters, call.model.operation_model(call.operation).input_shape)
    except ValueError as error:
        raise MalformedRequest("InvalidParameterException", str(error)) from None


def check_age(date, now):
    """Check the age of a signature; `date` is the text of the header x-amz-date."""
    def text(seconds):
        return time.strftime(DATE_FORMAT, time.gmtime(seconds))

    signed = calendar.timegm(time.strptime(date, DATE_FORMAT))
    if signed < now - MAX_SKEW:
        raise ServiceError("InvalidSignatureException", f"Signature expired: {date} is now earlier than "
                           f"{text(now - MAX_SKEW)} ({text(now)} - 5 min.)")
    if signed > now + MAX_SKEW:
        raise ServiceError("InvalidSignatureException", f"Signature not yet current: {date} is still later than "
                           f"{text(now + MAX_SKEW)} ({text(now)} + 5 min.)")


def check_signature(call, credentials, service, region, signed, signature):
    """Sign the received request with botocore, and compare the signatures."""
    headers = {name: call.headers[name] for name in signed if name in call.headers}
    request = AWSRequest(call.method, f"http://{call.headers['host']}{call.path}", headers, call.body)
    request.context["timestamp"] = call.headers["x-amz-date"]
    signer =SigV4Auth(credentials, service, region)
    canonical = signer.canonical_request(request)
    to_sign = signer.string_to_sign(request, canonical)
    if signer.signature(to_sign, request) != signature:
        raise ServiceError("InvalidSignatureException",
                           "The request signature we calculated does not match the signature you provided. Check your AWS "
                           "Secret Access Key and signing method. Consult the service documentation for details.\n\n"
                           f"The Canonical String for this request should have been\n'{canonical}'\n\n"
                           f"The String-to-Sign should have been\n'{to_sign}'\n")


# ---- The service ----

@dataclass
class Key:
    """An access key (fields as of `PUT /_keys`)."""

    secret: str
    token: str = None
    expired: bool = False
    expires: float = None
    denied: Sequence = ()


@dataclass
class Quota:
    """A token bucket (fields as of `PUT /_quota`): requests per second, and the size of the bucket; or, without a size,
    a count of the requests in each second of the clock. Another client may take all for the last seconds of every 10."""

    rate: float
    burst: float = None
    taken_seconds: float = 0

    def __post_init__(self):
        self.tokens, self.updated = self.burst or self.rate, time.monotonic()

    def acquire(self):
        """Take a token for a request; return False if there is none."""
        now = time.monotonic()
        if self.burst:
            self.tokens = min(self.burst, self.tokens + (now - self.updated) * self.rate)
        elif int(now) > int(self.updated):
            self.tokens = self.rate
        if now % 10 >= 10 - self.taken_seconds:
            self.tokens = 0
        self.updated = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Cognito:
    """The state of the service: pools, access keys, what tests have set, and what was received."""

    def __init__(self):
        self.lock = threading.Lock()
        self.pools = {pool.id: pool for pool in [demo_pool()]}
        self.identity_pools = {pool.id: pool for pool in [demo_identity_pool()]}
        self.accounts = {}
        self.keys = {"AKIAIOSFODNN7EXAMPLE": Key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")}
        self.credentials = aws_credentials.Services(self, check_shape, ServiceError)
        self.faults, self.requests, self.violations = [], [], []
        self.jwks = {}
        self.ahead = 0
        self.quota = None

    def now(self):
        return time.time() + self.ahead

    def add_key(self, key_id, secret, token, expires):
        """Add an access key that was issued."""
        self.keys[key_id] = Key(secret, token, expires=expires)

    def authorize(self, call, expected_service=None, signed_always=SIGNED_ALWAYS):
        """Check the signature; return the key, and the region that the request is signed for."""
        expected_service = expected_service or call.model.endpoint_prefix
        parts = AUTHORIZATION.fullmatch(call.headers.get("authorization", ""))
        if not parts:
            raise MalformedRequest("IncompleteSignatureException", "no Authorization header of Signature Version 4")
        key_id, day, region, service, names, signature = parts.groups()
        signed, date = names.split(";"), call.headers.get("x-amz-date", "")
        required = signed_always | {"x-amz-security-token"} & call.headers.keys()
        if not required <= set(signed) or signed != sorted(signed):
            raise MalformedRequest("InvalidSignatureException", f"SignedHeaders lacks one of {required}, or is unsorted")
        if not re.fullmatch(r"\d{8}T\d{6}Z", date) or(day, service) != (date[:8], expected_service):
            raise MalformedRequest("InvalidSignatureException", "Credential lacks x-amz-date's day or the service's name")
        key = self.keys.get(key_id)
        if not key or call.headers.get("x-amz-security-token") != key.token:
            raise ServiceError("UnrecognizedClientException", "The security token included in the request is invalid.")
        if key.expired or key.expires is not None and key.expires <= self.now():
            raise ServiceError("ExpiredTokenException", "The security token included in the request is expired")
        check_age(date, self.now())
        check_signature(call, Credentials(key_id, key.secret), service, region, signed, signature)
        call.record["key"] = key_id
        return key, region

    def pool(self, pool_id, region):
        pool = self.pools.get(pool_id) or generated_pool(pool_id)
        if not pool or pool_id.partition("_")[0] != region:
            raise ServiceError("ResourceNotFoundException", f"User pool {pool_id} does not exist.")
        return pool

    def identity_pool(self, pool_id, region):
        if pool_id not in self.identity_pools or pool_id.partition(":")[0] != region:
            raise ServiceError("ResourceNotFoundException", f"IdentityPool '{pool_id}' not found.")
        return self.identity_pools[pool_id]

    def account(self, region):
        """Return the account that a test has set, or else one with all pools of the region."""
        def of_region(pools, *keys):
            return [{key: pool.details[key] for key in keys if key in pool.details}
                    for pool in pools.values() if re.match(rf"{region}[_:]", pool.id)]

        return self.accounts.get(region) or Account(
            region, of_region(self.pools, "Id", "Name", "CreationDate", "LastModifiedDate"),
            of_region(self.identity_pools, "IdentityPoolId", "IdentityPoolName"))

    def resource(self, parameters, region):
        """Return the resource that a request names."""
        match parameters:
            case {"UserPoolId": pool_id}:
                return self.pool(pool_id, region)
            case {"IdentityPoolId": pool_id}:
                return self.identity_pool(pool_id, region)
        return self.account(region)

    def check(self, call):
        """Check a request before its operation is performed; return its resource."""
        check_protocol(call)
        key, region = self.authorize(call)
        check_parameters(call)
        if self.quota and not self.quota.acquire():
            raise ServiceError("TooManyRequestsException", "Rate exceeded")
        if call.operation in key.denied:
            action = f"{call.model.endpoint_prefix}:{call.operation}"
            raise ServiceError("AccessDeniedException", "User: arn:aws:iam::123456789012:user/example is not authorized "
                               f"to perform: {action} because no identity-based policy allows the {action} action")
        return self.resource(call.parameters, region)

    def token_keys(self, call):
        """Return the keys of a pool's tokens, which everybody may read, and nobody needs to sign for."""
        if call.method != "GET" or call.body or "authorization" in call.headers:
            raise MalformedRequest("BadRequest", "not an unsigned GET without a body")
        if call.keys_pool not in self.jwks:
            raise ServiceError("ResourceNotFoundException", f"User pool {call.keys_pool} does not exist.")
        return self.jwks[call.keys_pool]

    def perform(self, call, replacement):
        """Return the response to a request. The request is checked even if a fault replaces the response."""
        if call.issues:
            status, content_type, body = self.credentials.perform(call)
            return replacement or Response(status, body, {"content-type": content_type})
        try:
            if call.keys_pool:
                content = self.token_keys(call)
            else:
                resource = self.check(call)
                content = None if replacement else OPERATIONS[call.operation](resource, call.parameters)
        except ServiceError as service_error:
            if isinstance(service_error, MalformedRequest):
                self.violations.append(f"{call.operation}: {service_error}")
            return replacement or error_response(service_error.error, str(service_error))
        body = b"" if content is None else json.dumps(content, ensure_ascii=False).encode()
        return replacement or Response(200, body)

    def respond(self, call):
        """Return the response to a request, and the fault (or {}) to apply to its delivery."""
        with self.lock:
            self.requests.append(call.record)
            fault = next((fault for fault in self.faults if fault_applies(fault, call.operation)), {})
            response = self.perform(call, fault.get("response"))
            if fault.get("close") != "before" and fault.get("stall") != "response":
                call.record.update(status=response.status, error=response.error)
            return response, fault

    def control(self, method, path, body):
        """Serve a request of a test to the control interface; an invalid one gets a 400 response with the error."""
        with self.lock:
            try:
                content = json.loads(body) if method == "PUT" else None
                return Response(200, json.dumps(self.handle_control([method, *path.split("/")[1:]], content)).encode())
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                return Response(400, f"{method} {path}: {error!r}\n".encode())

    def handle_control(self, route, content):
        """Perform a request to the control interface; `route` is its method and the parts of its path."""
        match route:
            case ["PUT", "_pool", pool_id]:
                self.pools[pool_id] = Pool(pool_id, **content)
            case ["PUT", "_jwks", pool_id]:
                self.jwks[pool_id] = content
            case ["PUT", "_identity_pool", pool_id]:
                self.identity_pools[pool_id] = IdentityPool(pool_id, **content)
            case ["PUT", "_account", region]:
                self.accounts[region] = Account(region, **content)
            case ["PUT", "_faults"]:
                self.faults = [validate_fault(entry) for entry in content]
            case ["PUT", "_clock"]:
                self.ahead = float(content)
            case ["PUT", "_quota"]:
                self.quota = Quota(**content) if content else None
            case ["PUT", "_credentials"]:
                self.credentials.configure(content)
            case ["PUT", "_credentials", "expire"]:
                self.credentials.expire()
            case ["PUT", "_keys"]:
                self.keys |= {key_id: Key(**key) for key_id, key in content.items()}
            case ["GET", "_requests"]:
                return self.requests
            case ["DELETE", "_requests"]:
                self.requests.clear()
            case ["GET", "_violations"]:
                return self.violations
            case _:
                raise ValueError("no such path")


# ---- The server ----

class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.number = next(self.server.numbers)

    def receive(self):
        """Read a request and send the response."""
        # the client may delay the body until the headers are acknowledged
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.startswith("/_"):
            self.deliver(self.server.cognito.control(self.command, self.path, body), {})
        else:
            call = Call(self.command, self.path, self.headers.items(), body, self.number)
            self.deliver(*self.server.cognito.respond(call))

    do_DELETE = do_GET = do_POST = do_PUT = receive

    def deliver(self, response, fault):
        """Send a response, in one piece unless the fault says otherwise."""
        head, body = self.head(response), response.body
        self.close_connection |= "close" in fault or "stall" in fault
        time.sleep(fault.get("delay", 0))
        match fault:
            case {"close": "before"}:
                pass
            case {"close": "headers"}:
                self.wfile.write(head[:len(head) // 2])
            case {"close": "midway"}:
                self.wfile.write(head + body[:len(body) // 2])
            case {"stall": "response"}:
                self.rfile.read(1)  # until the client goes away
            case {"stall": "body"}:
                self.wfile.write(head)
                for byte in body:
                    time.sleep(0.02)
                    self.wfile.write(bytes([byte]))
            case _:
                self.wfile.write(head + body)

    def head(self, response):
        """Return the status line and the headers. The response's own headers, also content-length, take precedence."""
        length = str(len(response.body))
        headers = {
            "date": email.utils.formatdate(self.server.cognito.now(), usegmt=True),
            "content-type": CONTENT_TYPE,
            "content-length": length,
            "x-amzn-requestid": str(uuid.uuid4()),
            **{name.lower(): str(value) for name, value in response.headers.items()},
        }
        self.close_connection |= headers.get("connection") == "close" or headers["content-length"] != length
        reason = self.responses.get(response.status, ("",))[0]
        lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def log_message(self, *_):
        """Log nothing: tests read `/_requests`."""


class Server(socketserver.ThreadingTCPServer):
    """The listening socket; each connection has a thread, which ends with the process."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, cognito, tls):
        super().__init__(("127.0.0.1", 0), Handler)
        if tls:  # the handshake is left to the connection's thread
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.cognito = cognito
        self.numbers = itertools.count(1)

    def handle_error(self, request, address):
        """Ignore clients that disconnect or fail the TLS handshake."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, address)


def start(cognito, tls=None):
    """Start a server in the background and return its URL."""
    server = Server(cognito, tls)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"{'https://localhost' if tls else 'http://127.0.0.1'}:{server.server_address[1]}"


def tls_context(folder):
    """Return a TLS context with a new certificate, signed by a new CA."""
    def certificate(name, *options):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem", *options],
                       check=True, capture_output=True)

    os.makedirs(folder, exist_ok=True)
    certificate("ca", "-subj", f"/CN=CA of the local Cognito, {os.path.basename(folder)}",
                "-addext", "keyUsage=critical,keyCertSign")
    certificate("server", "-subj", "/CN=localhost", "-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key",
                "-addext", "subjectAltName=DNS:localhost,DNS:*.flaky.test,IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
    return context


# ---- The command line ----

def serve(tls=None):
    """Serve until the end of standard input, or SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    cognito = Cognito()
    urls = [start(cognito, tls), start(cognito)] if tls else [start(cognito)]
    print(*urls, sep="\n", flush=True)
    sys.stdin.buffer.read()


def run(command):
    """Serve while the command runs, and return its exit code. Signals are forwarded to it, so that they end both."""
    child, early = None, []

    def forward(number, _):
        child.send_signal(number) if child else early.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    child = subprocess.Popen(command, env={**os.environ, "COGNITO_ENDPOINT": start(Cognito())})
    for number in early:
        child.send_signal(number)
    code = child.wait()
    return code if code >= 0 else 128 - code


def main(arguments):
    match arguments:
        case ["run", _, *_]:
            return run(arguments[1:])
        case ["serve"]:
            return serve()
        case ["serve", "--tls", folder]:
            return serve(tls_context(folder))
    return __doc__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
