#!/usr/bin/python3
"""Tests of the local Cognito, with boto3.

They cover what could make a test of the extension pass that should fail: the checks of requests, the shape of responses,
pages, filters and faults. Whatever else the service does is seen by the tests that use it.
"""

import base64
import contextlib
import http.client
import json
import os
import re
import subprocess
import time
import unittest
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime

import boto3
from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, MetadataRetrievalError, ReadTimeoutError
from botocore.utils import ContainerMetadataFetcher, InstanceMetadataFetcher

from cognito import MODELS, OPERATIONS, check_shape

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cognito.py")
KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
DEMO = "eu-west-1_AbCdEf123"
DEMO_IDENTITIES = "eu-west-1:11111111-2222-4333-8444-555555555555"
TARGET = "AWSCognitoIdentityProviderService.ListUsers"


class Server:
    """A local Cognito in a separate process."""

    def __init__(self):
        self.process = subprocess.Popen([PROGRAM, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def control(self, method, path, content=None):
        """Send a request to the control interface; return the content of the response."""
        request = urllib.request.Request(self.url + path, json.dumps(content).encode(), method=method)
        with urllib.request.urlopen(request, timeout=5) as response:
            return json.load(response)

    def client(self, key_id=KEY_ID, secret=SECRET, token=None, region="eu-west-1", service="cognito-idp", **config):
        """Return a boto3 client without retries."""
        return boto3.client(service, endpoint_url=self.url, region_name=region, aws_access_key_id=key_id,
                            aws_secret_access_key=secret, aws_session_token=token,
                            config=Config(**{"retries": {"max_attempts": 0}, "read_timeout": 5, **config}))

    def stop(self):
        """Stop the server by closing its standard input; return its exit code."""
        self.process.communicate("", timeout=5)
        return self.process.returncode


def setUpModule():
    global server
    server = Server()


def tearDownModule():
    assert server.stop() == 0


def check_response(event_name, response_dict, **_):
    """Check a response against the service's model."""
    operation, body = model_of(event_name.rpartition(".")[2]), response_dict["body"]
    if response_dict["status_code"] != 200:
        errors = {"AccessDeniedException", *(shape.name for shape in operation.error_shapes)}
        assert json.loads(body)["__type"] in errors, body
    elif operation.output_shape:
        check_shape(json.loads(body), operation.output_shape)
    else:
        assert body == b"", body


def model_of(operation):
    return next(model for model in MODELS.values() if operation in model.operation_names).operation_model(operation)


def call(operation, parameters, **options):
    """Perform an operation with a new client, and check the response against the service's model."""
    client = server.client(service=model_of(operation).service_model.service_name, **options)
    client.meta.events.register("response-received", check_response)
    return getattr(client, xform_name(operation))(**parameters)


def send(body='{"UserPoolId": "%s"}' % DEMO, method="POST", path="/", target=TARGET, unsigned=(), more=(), host=None,
         content_type="application/x-amz-json-1.1", sign=True, service="cognito-idp", scope_day=None):
    """Send a hand-made request; return status, headers and body of the response."""
    address = server.url.removeprefix("http://")
    headers = {"Host": host or address, "Content-Type": content_type, "X-Amz-Target": target}
    signed = {name: value for name, value in headers.items() if name not in unsigned}
    request = AWSRequest(method, f"http://{host or address}{path}", signed, body.encode())
    if sign:
        SigV4Auth(Credentials(KEY_ID, SECRET), service, "eu-west-1").add_auth(request)
    headers.update(request.headers.items())
    if scope_day:
        headers["Authorization"] = re.sub(r"/\d{8}/", f"/{scope_day}/", headers["Authorization"])
    with contextlib.closing(http.client.HTTPConnection(address, timeout=5)) as connection:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in [*headers.items(), *more, ("Content-Length", len(body.encode()))]:
            connection.putheader(name, value)
        connection.endheaders(body.encode())
        response = connection.getresponse()
        return response.status, response.headers, response.read()


class Case(unittest.TestCase):
    """A test starts without faults, and fails if it leaves violations that new_violations has not returned."""

    def setUp(self):
        server.control("PUT", "/_faults", [])
        server.control("DELETE", "/_requests")
        self.known = len(server.control("GET", "/_violations"))
        self.client = server.client()

    def tearDown(self):
        self.assertEqual(self.new_violations(), [])
        server.control("PUT", "/_clock", 0)

    def new_violations(self):
        """Return the violations since the last call."""
        violations = server.control("GET", "/_violations")[self.known:]
        self.known += len(violations)
        return violations

    def error(self, call, *arguments, **parameters):
        """Return type and message of the error that a call raises."""
        with self.assertRaises(ClientError) as caught:
            call(*arguments, **parameters)
        error = caught.exception.response["Error"]
        return error["Code"], error["Message"]


class Operations(Case):
    """Every operation that is served, with the demo's pools as arguments."""

    KNOWN = {"UserPoolId": DEMO, "IdentityPoolId": DEMO_IDENTITIES, "Username": "hana.sato", "GroupName": "editors",
             "ClientId": "1example23456789", "ProviderName": "Google", "MaxResults": 2}

    def parameters(self, operation, **others):
        """Return the operation's parameters; `others` take precedence."""
        return {name: value for name, value in {**self.KNOWN, **others}.items()
                if name in model_of(operation).input_shape.members}

    def test_responses(self):
        for operation in OPERATIONS:
            with self.subTest(operation=operation):
                response = call(operation, self.parameters(operation))
                self.assertEqual(response.keys() > {"ResponseMetadata"}, bool(model_of(operation).output_shape))

    def test_sub_as_username(self):
        pool = {"UserPoolId": "eu-west-1_Subs"}
        users = [{"Username": name, "UserStatus": status, "Attributes": [{"Name": "sub", "Value": sub}]}
                 for name, sub, status in (("ann", "0a", "CONFIRMED"), ("Google_1", "0b", "EXTERNAL_PROVIDER"),
                                           ("0c", "0d", "CONFIRMED"), ("bob", "0c", "CONFIRMED"))]
        server.control("PUT", "/_pool/eu-west-1_Subs", {"users": users})
        self.assertEqual(self.client.admin_get_user(**pool, Username="0a")["Username"], "ann")
        self.assertEqual(self.client.admin_get_user(**pool, Username="0c")["Username"], "0c")
        self.assertEqual(self.error(self.client.admin_get_user, **pool, Username="0b")[0], "UserNotFoundException")


class Listings(Case):
    REGION = "eu-north-1"  # of the pools made here, and of nothing else
    POOL, IDENTITY_POOL = f"{REGION}_Paged", f"{REGION}:0b"
    # The list in the responses, the members with its page size and its token, and further parameters
    LISTINGS = {
        "ListUsers": ("Users", "Limit", "PaginationToken", {"UserPoolId": POOL}),
        "ListUsersInGroup": ("Users", "Limit", "NextToken", {"UserPoolId": POOL, "GroupName": "g0"}),
        "ListGroups": ("Groups", "Limit", "NextToken", {"UserPoolId": POOL}),
        "AdminListGroupsForUser": ("Groups", "Limit", "NextToken", {"UserPoolId": POOL, "Username": "u0"}),
        "ListUserPoolClients": ("UserPoolClients", "MaxResults", "NextToken", {"UserPoolId": POOL}),
        "ListIdentityProviders": ("Providers", "MaxResults", "NextToken", {"UserPoolId": POOL}),
        "ListUserPools": ("UserPools", "MaxResults", "NextToken", {}),
        "ListIdentityPools": ("IdentityPools", "MaxResults", "NextToken", {}),
        "ListIdentities": ("Identities", "MaxResults", "NextToken", {"IdentityPoolId": IDENTITY_POOL}),
    }

    def fill(self, count, **pages):
        """Make pools and an account with `count` items in each listing; return the items by the name of their list."""
        def many(**item):
            return [{key: value.format(n) for key, value in item.items()} for n in range(count)]

        items = {
            "Users": many(Username="u{}"),
            "Groups": many(GroupName="g{}", UserPoolId=self.POOL),
            "UserPoolClients": many(ClientId="c{}", UserPoolId=self.POOL, ClientName="Client {}"),
            "Providers": many(ProviderName="p{}", ProviderType="OIDC"),
            "UserPools": many(Id="x_{}", Name="Pool {}"),
            "IdentityPools": many(IdentityPoolId="x:{}", IdentityPoolName="Pool {}"),
            "Identities": many(IdentityId="x:{}"),
        }
        names = [user["Username"] for user in items["Users"]]
        server.control("PUT", f"/_pool/{self.POOL}", {
            "users": items["Users"], "groups": items["Groups"], "clients": items["UserPoolClients"],
            "memberships": {group["GroupName"]: names for group in items["Groups"]},
            "identity_providers": items["Providers"], **pages})
        server.control("PUT", f"/_identity_pool/{self.IDENTITY_POOL}", {"identities": items["Identities"], **pages})
        server.control("PUT", f"/_account/{self.REGION}", {
            "user_pools": items["UserPools"], "identity_pools": items["IdentityPools"], **pages})
        return items

    def pages(self, operation, size):
        """Return the lists of the pages of a listing, and its tokens."""
        key, size_key, token_key, parameters = self.LISTINGS[operation]
        parameters, lists, tokens = {**parameters, size_key: size}, [], []
        while not lists or tokens[len(lists) - 1:]:
            response = call(operation, parameters, region=self.REGION)
            lists.append(response[key])
            tokens += [response[token_key]] if token_key in response else []
            parameters |= {token_key: token for token in tokens[-1:]}
        return lists, tokens

    def test_pages(self):
        for count, size, sizes, options in (
            (1, 50, [1], {}),
            (50, 50, [50], {}),
            (51, 50, [50, 1], {}),
            (120, 50, [50, 50, 20], {}),
            (5, 2, [2, 0, 2, 0, 1, 0], {"empty_pages": 1, "token_length": 900}),
            (5, 2, [5], {"ignore_limit": True}),
        ):
            items = self.fill(count, **options)
            for operation, (key, *_) in self.LISTINGS.items():
                with self.subTest(operation=operation, count=count, options=options):
                    lists, tokens = self.pages(operation, size)
                    self.assertEqual([len(page) for page in lists], sizes)
                    self.assertEqual([item for page in lists for item in page], items[key])
                    if "token_length" in options:
                        self.assertEqual({len(token) for token in tokens}, {900})
        self.assertEqual(self.LISTINGS.keys(), {name for name in OPERATIONS if "List" in name})

    def test_default_page_size(self):
        for limit, count, is_last in (({}, 60, True), ({}, 61, False), ({"Limit": 0}, 61, False), ({}, 0, True)):
            response = self.client.list_users(UserPoolId=f"eu-west-1_Users{count}", **limit)
            self.assertEqual((len(response["Users"]), "PaginationToken" in response), (min(count, 60), not is_last))

    def test_tokens_are_bound_to_the_listing(self):
        self.fill(5)
        server.control("PUT", f"/_pool/{self.POOL}2", {"users": [{"Username": "u0"}], "groups": [{"GroupName": "g0"}]})
        server.control("PUT", f"/_identity_pool/{self.IDENTITY_POOL}2", {})
        tokens = [self.pages(operation, 2)[1][0] for operation in self.LISTINGS]
        others = tokens[1:] + tokens[:1]
        for (operation, listing), token, other in zip(self.LISTINGS.items(), tokens, others):
            _, size_key, token_key, parameters = listing
            pools = {key: value + "2" for key, value in parameters.items() if key.endswith("PoolId")}
            changes = [{size_key: 3}, {token_key: token + "+"}, {token_key: "1" + token}, {token_key: other}]
            if operation == "ListUsers":
                changes.append({"Filter": 'username ^= "u"'})
            for change in [*changes, pools] if pools else changes:
                with self.subTest(operation=operation, change=change):
                    changed = {**parameters, size_key: 2, token_key: token, **change}
                    self.assertEqual(self.error(call, operation, changed, region=self.REGION),
                                     ("InvalidParameterException", "Invalid pagination token given."))


class Filters(Case):
    POOL = "eu-west-1_Filtered"
    USERS = [
        {"Username": "Zoë", "Enabled": True, "UserStatus": "CONFIRMED", "Attributes": [
            {"Name": "name", "Value": 'Zoë "Zed" 佐藤'}, {"Name": "email", "Value": "zoe@example.com"},
            {"Name": "phone_number", "Value": "+491"}, {"Name": "preferred_username", "Value": "zed"}]},
        {"Username": "zoë", "Enabled": False, "UserStatus": "UNCONFIRMED", "Attributes": [
            {"Name": "name", "Value": "C:\\new"}, {"Name": "given_name", "Value": "Zoë"},
            {"Name": "family_name", "Value": ""}, {"Name": "sub", "Value": "0a"}, {"Name": "custom:x", "Value": "y"}]},
    ]

    def setUp(self):
        super().setUp()
        server.control("PUT", f"/_pool/{self.POOL}", {"users": self.USERS})

    def test_matches(self):
        for text, expected in {
            "": "Zoë zoë",
            'username = "Zoë"': "Zoë",
            'username="zoë"': "zoë",
            'username ^= "Z"': "Zoë",
            'username = "Z"': "",
            'username ^= ""': "Zoë zoë",
            r'name = "Zoë \"Zed\" 佐藤"': "Zoë",
            r'name ^= "Zoë \""': "Zoë",
            r'name = "C:\new"': "zoë",
            'name ^= "zoë"': "",
            'name ^= "new"': "",
            ' email  ^=  "zoe@" ': "Zoë",
            'phone_number = "+491"': "Zoë",
            'given_name = "Zoë"': "zoë",
            'family_name = ""': "zoë",
            'preferred_username = "zed"': "Zoë",
            'sub ^= "0"': "zoë",
            'cognito:user_status = "confirmed"': "Zoë",
            'cognito:user_status ^= "Un"': "zoë",
            'status = "Enabled"': "Zoë",
            'status = "Disabled"': "zoë",
            'status = "enabled"': "",
        }.items():
            with self.subTest(filter=text):
                users = self.client.list_users(UserPoolId=self.POOL, Filter=text)["Users"]
                self.assertEqual([user["Username"] for user in users], expected.split())

    def test_order(self):
        """A listing with a filter is sorted by its attribute; the subs of new pools have few second digits."""
        for pool, digits in (("eu-west-1_Users500", "4"), ("eu-west-1_OldUsers500", "0123456789abcdef")):
            users = [user for page in self.client.get_paginator("list_users").paginate(UserPoolId=pool, Filter='sub ^= "a"')
                     for user in page["Users"]]
            subs = [user["Attributes"][0]["Value"] for user in users]
            self.assertEqual(subs, sorted(subs))
            self.assertGreater(len(subs), 15)
            self.assertEqual({sub[0] for sub in subs}, {"a"})
            self.assertEqual({sub[1] for sub in subs} & set(digits), {sub[1] for sub in subs})
            self.assertTrue(all(re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", sub) for sub in subs))

    def test_errors(self):
        for text, message in {
            'custom:x = "y"': "Invalid search attribute: custom:x",
            'Email = "y"': "Invalid search attribute: Email",
            "email": "Error while parsing filter.",
            "email = y": "Error while parsing filter.",
            'email == "y"': "Error while parsing filter.",
            'email > "y"': "Error while parsing filter.",
            'email = "a"b"': "Error while parsing filter.",
            r'email = "a\"': "Error while parsing filter.",
            'email = "a" and name = "b"': "Error while parsing filter.",
        }.items():
            with self.subTest(filter=text):
                self.assertEqual(self.error(self.client.list_users, UserPoolId=self.POOL, Filter=text),
                                 ("InvalidParameterException", message))

    def test_ignored(self):
        server.control("PUT", f"/_pool/{self.POOL}", {"users": self.USERS, "ignore_filter": True})
        users = self.client.list_users(UserPoolId=self.POOL, Filter='username = "Zoë"')["Users"]
        self.assertEqual(len(users), 2)


class Authorization(Case):
    def test_keys(self):
        server.control("PUT", "/_keys", {"ASIASESSION": {"secret": "s3cret", "token": "t0ken+/="},
                                         "ASIAEXPIRED": {"secret": "s", "token": "t", "expired": True}})
        for key, expected in (
            ((KEY_ID, SECRET), None),
            (("ASIASESSION", "s3cret", "t0ken+/="), None),
            ((KEY_ID, "wrong"), "InvalidSignatureException"),
            (("ASIASESSION", "wrong", "t0ken+/="), "InvalidSignatureException"),
            (("AKIAUNKNOWN", SECRET), "UnrecognizedClientException"),
            (("ASIASESSION", "s3cret", "other"), "UnrecognizedClientException"),
            (("ASIASESSION", "s3cret"), "UnrecognizedClientException"),
            ((KEY_ID, SECRET, "t0ken+/="), "UnrecognizedClientException"),
            (("ASIAEXPIRED", "s", "t"), "ExpiredTokenException"),
        ):
            with self.subTest(key=key):
                if expected:
                    self.assertEqual(self.error(server.client(*key).list_users, UserPoolId=DEMO)[0], expected)
                else:
                    server.client(*key).list_users(UserPoolId=DEMO)

    def test_age(self):
        for ahead, words in ((-310, "Signature not yet current"), (-290, None), (290, None), (310, "Signature expired")):
            with self.subTest(ahead=ahead):
                server.control("PUT", "/_clock", ahead)
                status, headers, body = send()
                self.assertEqual(status, 400 if words else 200)
                self.assertIn((words or "Users").encode(), body)
                date = parsedate_to_datetime(headers["date"])
                self.assertAlmostEqual(date.timestamp() - time.time(), ahead, delta=5)


class CredentialServices(Case):
    """AWS's own tools get credentials, and are refused where they must be."""

    ROLE = "arn:aws:iam::123456789012:role/reader"

    def configure(self, **fields):
        server.control("PUT", "/_credentials", fields)

    def list_users(self, *key):
        return server.client(*key).list_users(UserPoolId=DEMO)

    def test_role(self):
        self.configure(roles={self.ROLE: {"trusts": [KEY_ID], "external_id": "e:1"}})
        role = {"RoleArn": self.ROLE, "RoleSessionName": "test"}
        keys = server.client(service="sts").assume_role(**role, ExternalId="e:1", DurationSeconds=900)["Credentials"]
        self.assertAlmostEqual(keys["Expiration"].timestamp(), time.time() + 900, delta=5)
        key = keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
        self.list_users(*key)

        for signer, more, expected in (
            ((KEY_ID, SECRET), {}, "AccessDenied"),
            ((KEY_ID, SECRET), {"ExternalId": "e:2"}, "AccessDenied"),
            ((KEY_ID, SECRET), {"ExternalId": "e:1", "RoleArn": f"{self.ROLE}s"}, "AccessDenied"),
            ((KEY_ID, SECRET), {"ExternalId": "e 1"}, "ValidationError"),
            (key, {"ExternalId": "e:1"}, "AccessDenied"),
            ((KEY_ID, "wrong"), {"ExternalId": "e:1"}, "SignatureDoesNotMatch"),
            (("AKIAUNKNOWN", SECRET), {"ExternalId": "e:1"}, "InvalidClientTokenId"),
        ):
            with self.subTest(more=more, expected=expected):
                assume = server.client(*signer, service="sts").assume_role
                self.assertEqual(self.error(assume, **{**role, **more})[0], expected)

        server.control("PUT", "/_credentials/expire")
        self.assertEqual(self.error(server.client(*key).list_users, UserPoolId=DEMO)[0], "ExpiredTokenException")
        self.assertEqual(self.error(server.client(*key, service="sts").assume_role, **role)[0], "ExpiredToken")

    def test_web_identity(self):
        self.configure(web_identity_token="good.token")
        role = {"RoleArn": self.ROLE, "RoleSessionName": "test"}
        assume = server.client(service="sts").assume_role_with_web_identity
        keys = assume(**role, WebIdentityToken="good.token")["Credentials"]
        self.list_users(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        self.assertEqual(self.error(assume, **role, WebIdentityToken="bad.token")[0], "InvalidIdentityToken")

    def test_instance(self):
        fetcher = InstanceMetadataFetcher(timeout=1, config={"ec2_metadata_service_endpoint": f"{server.url}/"})
        keys = fetcher.retrieve_iam_role_credentials()
        self.assertEqual(keys["role_name"], "app-role")
        self.list_users(keys["access_key"], keys["secret_key"], keys["token"])

        path = "/latest/meta-data/iam/security-credentials/"
        for headers in {}, {"x-aws-ec2-metadata-token": "other"}:
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(urllib.request.Request(server.url + path, headers=headers))
            self.assertEqual(caught.exception.code, 401)
        self.assertEqual(len(self.new_violations()), 2)

    def test_container(self):
        self.configure(container_token="good token")
        fetcher = ContainerMetadataFetcher(sleep=lambda seconds: None)
        url = f"{server.url}/v2/credentials/1"
        keys = fetcher.retrieve_full_uri(url, headers={"Authorization": "good token"})
        self.list_users(keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"])
        with self.assertRaises(MetadataRetrievalError):
            fetcher.retrieve_full_uri(url)


class Violations(Case):
    def assert_violation(self, expected, error):
        """Expect one violation, and the error of the last request."""
        self.assertRegex("\n".join(self.new_violations()), f"\\A.*{expected}.*\\Z")
        self.assertEqual(server.control("GET", "/_requests")[-1]["error"], error)

    def test_parameters(self):
        client = server.client(parameter_validation=False)
        identity = server.client(service="cognito-identity", parameter_validation=False)
        # one request for each kind of constraint, of those that botocore's validator knows and of the others
        for expected, call, parameters in (
            ("UserPoolId", client.list_users, {}),
            ("Invalid type", client.list_users, {"UserPoolId": 5}),
            ("Limit.*min", client.list_users, {"UserPoolId": DEMO, "Limit": -1}),
            ("PaginationToken.*length", client.list_users, {"UserPoolId": DEMO, "PaginationToken": ""}),
            ("UserPoolId fails", client.list_users, {"UserPoolId": "abc"}),
            ("UserPoolId fails", client.list_users, {"UserPoolId": "eu-west-1_" + "A" * 50}),
            ("Limit fails", client.list_users, {"UserPoolId": DEMO, "Limit": 61}),
            ("Value True at Limit", client.list_users, {"UserPoolId": DEMO, "Limit": True}),
            ("Filter fails", client.list_users, {"UserPoolId": DEMO, "Filter": 'name = "%s"' % ("é" * 248)}),
            ("AttributesToGet fails", client.list_users, {"UserPoolId": DEMO, "AttributesToGet": ["a b"]}),
            ("not served", client.list_users, {"UserPoolId": DEMO, "AttributesToGet": ["email"]}),
            ("HideDisabled", identity.list_identities,
             {"IdentityPoolId": DEMO_IDENTITIES, "MaxResults": 1, "HideDisabled": 1}),
        ):
            with self.subTest(call=call, parameters=parameters):
                self.assertEqual(self.error(call, **parameters)[0], "InvalidParameterException")
                self.assert_violation(expected, "InvalidParameterException")
        longest = 'name = "%s"' % ("é" * 247)
        self.assertEqual(client.list_users(UserPoolId=DEMO, Filter=longest)["Users"], [])

    def test_protocol(self):
        status, headers, content = send()
        self.assertEqual((status, len(json.loads(content)["Users"])), (200, 60))
        self.assertEqual(headers["content-type"], "application/x-amz-json-1.1")
        self.assertRegex(headers["x-amzn-requestid"], r"\A[0-9a-f-]{36}\Z")
        for expected, error, request in (
            ("GET", "UnknownOperationException", {"method": "GET"}),
            ("/users", "UnknownOperationException", {"path": "/users"}),
            ("Sandwich", "UnknownOperationException", {"target": "Sandwich.ListUsers"}),
            ("not served", "UnknownOperationException", {"target": TARGET.replace("ListUsers", "EatUsers")}),
            ("content-type", "UnknownOperationException", {"content_type": "application/json"}),
            ("twice", "SerializationException", {"more": [("x-twice", "a")] * 2}),
            ("port", "SerializationException", {"host": "localhost"}),
            ("no Authorization", "IncompleteSignatureException", {"sign": False}),
            ("SignedHeaders", "InvalidSignatureException", {"unsigned": ["X-Amz-Target"]}),
            ("SignedHeaders", "InvalidSignatureException", {"unsigned": ["Content-Type"]}),
            ("Credential", "InvalidSignatureException", {"service": "cognito"}),
            ("Credential", "InvalidSignatureException", {"service": "cognito-identity"}),
            ("not served", "UnknownOperationException", {"target": "AWSCognitoIdentityService.ListUsers"}),
            ("Credential", "InvalidSignatureException", {"scope_day": "20200101"}),
            ("JSON object", "SerializationException", {"body": "[]"}),
            ("JSON object", "SerializationException", {"body": "{"}),
            ("Users", "InvalidParameterException", {"body": '{"UserPoolId": "%s", "Users": []}' % DEMO}),
        ):
            with self.subTest(request=request):
                status, headers, content = send(**request)
                self.assertEqual((status, json.loads(content)["__type"]), (400, error))
                self.assertIsNone(headers["x-amzn-errortype"])
                self.assert_violation(expected, error)

    def test_faults_hide_no_violation(self):
        server.control("PUT", "/_faults", [{"error": "TooManyRequestsException"}])
        self.assertIn(b"TooManyRequestsException", send(body="{}")[2])
        self.assert_violation("UserPoolId", "TooManyRequestsException")


class Faults(Case):
    def set_faults(self, *faults):
        server.control("PUT", "/_faults", list(faults))

    def test_which_and_how_often(self):
        for faults, expected in (
            ([], [None]),
            ([{"error": "E"}], ["E", None]),
            ([{"error": "E", "skip": 1, "times": 2}], [None, "E", "E", None]),
            ([{"error": "E", "times": -1}], ["E", "E", "E"]),
            ([{"error": "E", "operation": "ListUsers"}, {"error": "F"}], ["E", "F", None]),
            ([{"error": "E", "operation": "ListGroups"}], [None, None]),
        ):
            with self.subTest(faults=faults):
                self.set_faults(*faults)
                self.assertEqual([json.loads(send()[2]).get("__type") for _ in expected], expected)

    def test_responses(self):
        odd = b'{"Users": [{"Username": "\xff"}]}'
        for fault, status, header, body in (
            ({"error": "E", "status": 503, "message": "later", "headers": {"Retry-After": "7"}},
             503, ("retry-after", "7"), b'{"message": "later", "__type": "E"}'),
            ({"error": "E", "message": "m", "type_in": "header"}, 400, ("x-amzn-errortype", "E"), b'{"message": "m"}'),
            ({"error": "E", "message": "m", "type_in": "prefixed"}, 400, ("x-amzn-errortype", None),
             b'{"message": "m", "__type": "com.amazonaws.cognito#E:http://localhost/"}'),
            ({"reply": {"body": "{}", "headers": {"X-Test": "yes"}}}, 200, ("x-test", "yes"), b"{}"),
            ({"reply": {"status": 502, "body_base64": base64.b64encode(odd).decode()}}, 502, ("x-test", None), odd),
        ):
            with self.subTest(fault=fault):
                self.set_faults(fault)
                actual_status, headers, actual_body = send()
                self.assertEqual((actual_status, headers[header[0]], actual_body), (status, header[1], body))
                self.assertEqual(server.control("GET", "/_requests")[-1]["error"], fault.get("error"))

    def test_close(self):
        self.set_faults({"close": "before"}, {"close": "midway"})
        with self.assertRaises(http.client.RemoteDisconnected):
            send()
        with self.assertRaises(http.client.IncompleteRead) as caught:
            send()
        self.assertLessEqual(abs(len(caught.exception.partial) - caught.exception.expected), 1)
        self.assertEqual([request["status"] for request in server.control("GET", "/_requests")], [None, 200])
        self.assertEqual(send()[0], 200)

    def test_stall_and_delay(self):
        self.set_faults({"stall": "response"}, {"stall": "body"}, {"delay": 0.3})
        with self.assertRaises(ReadTimeoutError):
            server.client(read_timeout=0.2).list_users(UserPoolId=DEMO)
        for pool, seconds in (("eu-west-1_Users0", 0.02 * len('{"Users": []}')), ("eu-west-1_Users5", 0.3)):
            client = server.client()  # its own: a stalled response ends its connection
            begun = time.monotonic()
            client.list_users(UserPoolId=pool)
            self.assertGreater(time.monotonic() - begun, seconds)
        self.assertEqual([request["status"] for request in server.control("GET", "/_requests")], [None, 200, 200])

    def test_invalid_control_requests(self):
        for path, content in (("/_faults", [{"error": "E", "stall": "body"}]), ("/_faults", [{"times": 3}]),
                              ("/_faults", [{"error": "E", "time": 3}]), ("/_faults", [{"close": "now"}]),
                              ("/_faults", {"error": "E"}), ("/_pool/x_y", {"user": []}), ("/_clock", "late"),
                              ("/_keys", {"A": {}}), ("/_nothing", [])):
            with self.subTest(path=path, content=content), self.assertRaises(urllib.error.HTTPError) as caught:
                server.control("PUT", path, content)
            self.assertEqual(caught.exception.code, 400)


class Requests(Case):
    def test_record(self):
        begun = time.time()
        for _ in range(2):
            self.client.list_users(UserPoolId=DEMO)
        self.error(server.client().list_users, UserPoolId="eu-west-1_Nobody")
        first, second, third = server.control("GET", "/_requests")
        self.assertEqual((first["operation"], first["body"]), ("ListUsers", {"UserPoolId": DEMO}))
        self.assertEqual(first["headers"]["x-amz-target"], TARGET)
        self.assertTrue(begun <= first["time"] <= second["time"] <= time.time())
        self.assertEqual(first["connection"], second["connection"])
        self.assertNotEqual(first["connection"], third["connection"])
        self.assertEqual([(r["status"], r["error"]) for r in (first, second, third)],
                         [(200, None), (200, None), (400, "ResourceNotFoundException")])
        server.control("DELETE", "/_requests")
        self.assertEqual(server.control("GET", "/_requests"), [])


class Commands(unittest.TestCase):
    def test_run_returns_the_exit_code(self):
        for script, code in (("test -n $COGNITO_ENDPOINT; exit 7", 7), ("kill $$", 143)):
            self.assertEqual(subprocess.run([PROGRAM, "run", "sh", "-c", script], check=False).returncode, code)


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # boto3 leaves its connections open
