#!/usr/bin/python3
"""Tests of the local Cognito itself, with boto3: its responses, its checks and its faults."""

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import uuid
from email.utils import parsedate_to_datetime
from functools import partial

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, SSLError

from cognito import OPERATIONS, check_shape

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cognito.py")
KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
DEMO = "eu-west-1_AbCdEf123"
DEMO_IDENTITIES = "eu-west-1:11111111-2222-4333-8444-555555555555"
SERVICES = ("cognito-idp", "cognito-identity")
TARGET = "AWSCognitoIdentityProviderService.ListUsers"


class Server:
    """A local Cognito in a separate process."""

    def __init__(self, *options):
        self.process = subprocess.Popen([PROGRAM, "serve", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.url = self.process.stdout.readline().strip()
        self.trust = ssl.create_default_context(cafile=f"{options[1]}/ca.pem") if options else None

    def control(self, method, path, content=None):
        """Send a request to the control interface; return the content of the response."""
        request = urllib.request.Request(self.url + path, json.dumps(content).encode(), method=method)
        with urllib.request.urlopen(request, timeout=5, context=self.trust) as response:
            return json.load(response)

    def client(self, key_id=KEY_ID, secret=SECRET, token=None, region="eu-west-1", verify=None, service="cognito-idp",
               **config):
        """Return a boto3 client without retries."""
        config = Config(**{"retries": {"max_attempts": 0}, "read_timeout": 5, **config})
        return boto3.client(service, endpoint_url=self.url, region_name=region, aws_access_key_id=key_id,
                            aws_secret_access_key=secret, aws_session_token=token, verify=verify, config=config)

    def stop(self):
        """Stop the server by closing its standard input; return its exit code."""
        self.process.communicate("", timeout=5)
        return self.process.returncode


def setUpModule():
    global server
    server = Server()


def tearDownModule():
    assert server.stop() == 0


def checked(client):
    """Make a client check each response against the service's model; return the client."""
    def check(event_name, response_dict, **_):
        operation = client.meta.service_model.operation_model(event_name.rpartition(".")[2])
        body = response_dict["body"]
        if response_dict["status_code"] != 200:
            errors = {"AccessDeniedException", *(shape.name for shape in operation.error_shapes)}
            assert json.loads(body)["__type"] in errors, body
        elif operation.output_shape:
            check_shape(json.loads(body), operation.output_shape)
        else:
            assert body == b"", body

    client.meta.events.register("response-received", check)
    return client


def every_operation(**client):
    """Yield service, name and a call of each operation that is served, with the demo's pools as arguments."""
    known = {"UserPoolId": DEMO, "IdentityPoolId": DEMO_IDENTITIES, "Username": "hana.sato", "GroupName": "editors",
             "ClientId": "1example23456789", "MaxResults": 2}
    for service in SERVICES:
        caller = checked(server.client(service=service, **client))
        for method, operation in caller.meta.method_to_api_mapping.items():
            if operation in OPERATIONS:
                members = caller.meta.service_model.operation_model(operation).input_shape.members
                parameters = {name: value for name, value in known.items() if name in members}
                yield service, operation, partial(getattr(caller, method), **parameters)


def attributes(user):
    return {item["Name"]: item["Value"] for item in user["Attributes"]}


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

    def names(self, pool, client=None, **parameters):
        """Return the user names of a listing."""
        pages = (client or self.client).get_paginator("list_users").paginate(UserPoolId=pool, **parameters)
        return [user["Username"] for page in pages for user in page["Users"]]

    def error(self, call, *arguments, **parameters):
        """Return type and message of the error that a call raises."""
        with self.assertRaises(ClientError) as caught:
            call(*arguments, **parameters)
        self.response = caught.exception.response
        return self.response["Error"]["Code"], self.response["Error"]["Message"]


class Listing(Case):
    def test_pages(self):
        for count, pages in ((0, 1), (1, 1), (60, 1), (61, 2), (200, 4), (10_000, 167)):
            with self.subTest(count=count):
                server.control("DELETE", "/_requests")
                expected = [f"user{number:06d}" for number in range(1, count + 1)]
                self.assertEqual(self.names(f"eu-west-1_Users{count}"), expected)
                self.assertEqual(len(server.control("GET", "/_requests")), pages)

    def test_limit(self):
        pages = self.client.get_paginator("list_users").paginate(UserPoolId="eu-west-1_Users25", Limit=10)
        self.assertEqual([len(page["Users"]) for page in pages], [10, 10, 5])
        self.assertEqual(len(self.client.list_users(UserPoolId="eu-west-1_Users61", Limit=0)["Users"]), 60)

    def test_generated_users(self):
        users = self.client.list_users(UserPoolId="eu-west-1_Users60")["Users"]
        first = attributes(users[0])
        self.assertEqual((first["email"], first["name"]), ("user000001@example.com", "User 1"))
        self.assertEqual(first["sub"], "469eae2e-8953-4185-a457-a93d0be1ef0c")
        self.assertEqual(first.keys(), {"sub", "email", "email_verified", "name", "phone_number", "custom:tenant"})
        self.assertEqual([str(uuid.UUID(attributes(user)["sub"])) for user in users],
                         [attributes(user)["sub"] for user in users])
        self.assertEqual(len({attributes(user)["sub"] for user in users}), 60)
        self.assertEqual([user["Username"] for user in users if not user["Enabled"]],
                         [f"user{number:06d}" for number in range(10, 61, 10)])
        self.assertGreater(len({user["UserStatus"] for user in users}), 4)
        self.assertEqual(users[24]["MFAOptions"], [{"DeliveryMedium": "SMS", "AttributeName": "phone_number"}])
        self.assertNotIn("MFAOptions", users[0])
        self.assertNotEqual(users[0]["UserCreateDate"].microsecond, 0)
        self.assertEqual(self.client.list_users(UserPoolId="eu-west-1_Users1")["Users"], users[:1])

    def test_demo_pool(self):
        pages = self.client.get_paginator("list_users").paginate(UserPoolId=DEMO)
        users = [user for page in pages for user in page["Users"]]
        self.assertEqual(len({user["Username"] for user in users}), 300)
        self.assertEqual({attributes(user)["custom:plan"] for user in users}, {"free", "pro", "enterprise"})
        self.assertGreater(len({user["UserStatus"] for user in users}), 4)
        for number in (sum(not user["Enabled"] for user in users),
                       sum("email" not in attributes(user) for user in users),
                       sum(not attributes(user)["name"].isascii() for user in users)):
            self.assertTrue(10 < number < 200, number)

    def test_own_pool(self):
        users = [{"Username": f"u{number}"} for number in range(7)]
        path = "/_pool/eu-west-1_Own1"
        server.control("PUT", path, {"users": users, "empty_pages": 2, "token_length": 9000})
        pages = list(self.client.get_paginator("list_users").paginate(UserPoolId="eu-west-1_Own1", Limit=3))
        self.assertEqual([len(page["Users"]) for page in pages], [3, 0, 0, 3, 0, 0, 1, 0, 0])
        self.assertEqual({len(page["PaginationToken"]) for page in pages[:-1]}, {9000})
        server.control("PUT", path, {"users": users, "ignore_limit": True, "ignore_filter": True})
        page = self.client.list_users(UserPoolId="eu-west-1_Own1", Limit=3, Filter='username = "u1"')
        self.assertEqual((page["Users"], "PaginationToken" in page), (users, False))

    def test_attributes_to_get(self):
        page = self.client.list_users(UserPoolId="eu-west-1_Users3", AttributesToGet=["email"])
        self.assertEqual(attributes(page["Users"][2]), {"email": "user000003@example.com"})
        self.assertEqual(self.error(self.client.list_users, UserPoolId=DEMO, AttributesToGet=["email", "sub"])[0],
                         "InvalidParameterException")

    def test_tokens_are_bound_to_the_listing(self):
        same = {"UserPoolId": "eu-west-1_Users200", "Limit": 10, "Filter": 'username ^= "user"'}
        token = self.client.list_users(**same)["PaginationToken"]
        self.assertEqual(self.client.list_users(**same, PaginationToken=token)["Users"][0]["Username"], "user000011")
        refused = ("InvalidParameterException", "Invalid pagination token given.")
        for change in ({"UserPoolId": "eu-west-1_Users201"}, {"Limit": 11}, {"Filter": 'username ^= "user0"'},
                       {"AttributesToGet": ["email"]}, {"PaginationToken": token[:-1]}, {"PaginationToken": "2" + token},
                       {"PaginationToken": "token"}):
            with self.subTest(change=change):
                parameters = {**same, "PaginationToken": token, **change}
                self.assertEqual(self.error(self.client.list_users, **parameters), refused)


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
                self.assertEqual(self.names(self.POOL, Filter=text), expected.split())

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


class Groups(Case):
    def test_membership(self):
        checked(self.client)
        pool = {"UserPoolId": "eu-west-1_Grouped"}
        server.control("PUT", "/_pool/eu-west-1_Grouped", {
            "users": [{"Username": "ann"}, {"Username": "bob", "Attributes": [{"Name": "name", "Value": "Bob"}]}],
            "groups": [{"GroupName": "a"}, {"GroupName": "b"}], "memberships": {"a": ["bob"]}})
        bob = {**pool, "Username": "bob"}

        def groups():
            return [group["GroupName"] for group in self.client.admin_list_groups_for_user(**bob)["Groups"]]

        self.assertEqual(groups(), ["a"])
        for _ in "twice":
            self.client.admin_add_user_to_group(**bob, GroupName="b")
        self.assertEqual(groups(), ["a", "b"])
        self.client.admin_remove_user_from_group(**bob, GroupName="a")
        self.assertEqual(groups(), ["b"])
        self.assertEqual(self.client.list_users_in_group(**pool, GroupName="b")["Users"][0]["Username"], "bob")
        self.assertEqual(self.client.list_users_in_group(**pool, GroupName="a")["Users"], [])
        self.assertEqual(self.client.admin_get_user(**bob)["UserAttributes"], [{"Name": "name", "Value": "Bob"}])
        eve, c = {**pool, "Username": "eve"}, {**pool, "GroupName": "c"}
        for call, parameters in ((self.client.admin_get_user, eve), (self.client.admin_list_groups_for_user, eve),
                                 (self.client.admin_add_user_to_group, {**eve, "GroupName": "a"}),
                                 (self.client.admin_remove_user_from_group, {**eve, "GroupName": "a"})):
            self.assertEqual(self.error(call, **parameters), ("UserNotFoundException", "User does not exist."))
        for call, parameters in ((self.client.list_users_in_group, c),
                                 (self.client.admin_add_user_to_group, {**bob, **c}),
                                 (self.client.admin_remove_user_from_group, {**bob, **c})):
            self.assertEqual(self.error(call, **parameters), ("ResourceNotFoundException", "Group not found."))

    def test_sub_as_username(self):
        pool = {"UserPoolId": "eu-west-1_Subs"}

        def user(name, sub, status):
            return {"Username": name, "UserStatus": status, "Attributes": [{"Name": "sub", "Value": sub}]}

        server.control("PUT", "/_pool/eu-west-1_Subs", {
            "users": [user("ann", "0a", "CONFIRMED"), user("Google_1", "0b", "EXTERNAL_PROVIDER"),
                      user("0c", "0d", "CONFIRMED"), user("bob", "0c", "CONFIRMED")],
            "groups": [{"GroupName": "a"}]})
        ann = {**pool, "Username": "0a"}
        self.assertEqual(self.client.admin_get_user(**ann)["Username"], "ann")
        self.client.admin_add_user_to_group(**ann, GroupName="a")
        self.assertEqual([user["Username"] for user in self.client.list_users_in_group(**pool, GroupName="a")["Users"]],
                         ["ann"])
        self.assertEqual(len(self.client.admin_list_groups_for_user(**ann)["Groups"]), 1)
        self.client.admin_remove_user_from_group(**ann, GroupName="a")
        self.assertEqual(self.client.admin_list_groups_for_user(**ann)["Groups"], [])
        self.assertEqual(self.client.admin_get_user(**pool, Username="0c")["Username"], "0c")
        self.assertEqual(self.error(self.client.admin_get_user, **pool, Username="0b")[0], "UserNotFoundException")

    def test_missing_members(self):
        pool = {"UserPoolId": "eu-west-1_Bare"}
        server.control("PUT", "/_pool/eu-west-1_Bare", {
            "users": [{}, {"Username": "ann"}], "groups": [{}, {"GroupName": "a"}], "memberships": {"a": ["ann"]},
            "clients": [{}, {"ClientId": "1"}]})
        self.assertEqual(self.client.list_groups(**pool)["Groups"][0], {"UserPoolId": "eu-west-1_Bare"})
        self.assertEqual(self.client.list_users_in_group(**pool, GroupName="a")["Users"], [{"Username": "ann"}])
        self.assertEqual(len(self.client.admin_list_groups_for_user(**pool, Username="ann")["Groups"]), 1)
        self.assertEqual(self.names("eu-west-1_Bare", Filter='username = "ann"'), ["ann"])
        self.assertEqual(self.client.describe_user_pool_client(**pool, ClientId="1")["UserPoolClient"]["ClientId"], "1")


class Authorization(Case):
    def refused(self, client, pool=DEMO):
        return self.error(client.list_users, UserPoolId=pool)

    def test_keys(self):
        self.assertEqual(self.refused(server.client(key_id="AKIAUNKNOWN")),
                         ("UnrecognizedClientException", "The security token included in the request is invalid."))
        error, message = self.refused(server.client(secret="wrong"))
        self.assertEqual(error, "InvalidSignatureException")
        self.assertIn("The request signature we calculated does not match the signature you provided.", message)
        self.assertEqual(self.response["ResponseMetadata"]["HTTPStatusCode"], 400)

    def test_session_token(self):
        server.control("PUT", "/_keys", {"ASIASESSION": {"secret": "s3cret", "token": "t0ken+/="},
                                         "ASIAEXPIRED": {"secret": "s", "token": "t", "expired": True}})
        self.assertEqual(len(self.names(DEMO, server.client("ASIASESSION", "s3cret", "t0ken+/="))), 300)
        for client in (server.client("ASIASESSION", "s3cret", "other"), server.client("ASIASESSION", "s3cret"),
                       server.client(token="t0ken+/=")):
            self.assertEqual(self.refused(client)[0], "UnrecognizedClientException")
        self.assertIn("x-amz-security-token:t0ken+/=", self.refused(server.client("ASIASESSION", "no", "t0ken+/="))[1])
        self.assertEqual(self.refused(server.client("ASIAEXPIRED", "s", "t")),
                         ("ExpiredTokenException", "The security token included in the request is expired"))

    def test_clock(self):
        for ahead, words in ((-310, "Signature not yet current"), (310, "Signature expired")):
            server.control("PUT", "/_clock", ahead)
            error, message = self.refused(self.client)
            self.assertEqual((error, message.partition(":")[0]), ("InvalidSignatureException", words))
            date = parsedate_to_datetime(self.response["ResponseMetadata"]["HTTPHeaders"]["date"])
            self.assertAlmostEqual(date.timestamp() - time.time(), ahead, delta=5)
        server.control("PUT", "/_clock", 290)
        self.assertEqual(len(self.names(DEMO)), 300)

    def test_pools_and_regions(self):
        missing = "ResourceNotFoundException", f"User pool {DEMO} does not exist."
        self.assertEqual(self.refused(server.client(region="eu-west-2")), missing)
        self.assertEqual(self.refused(self.client, "eu-west-1_Nobody")[0], "ResourceNotFoundException")
        self.assertEqual(len(self.names("us-gov-west-1_Users3", server.client(region="us-gov-west-1"))), 3)


class Pools(Case):
    """User pools, app clients, identity providers and identity pools."""

    REGION = "eu-north-1"  # of the pools made here, and of nothing else
    POOL, IDENTITY_POOL = f"{REGION}_Paged", f"{REGION}:0b"

    def setUp(self):
        super().setUp()
        self.client, self.identity = self.clients("eu-west-1")

    def clients(self, region):
        """Return clients of both services."""
        return [checked(server.client(region=region, service=service)) for service in SERVICES]

    def listings(self, count, **pages):
        """Return, for each listing of `count` items: its call, the name of the list in the response, and the items."""
        def many(**item):
            return [{key: value.format(n) for key, value in item.items()} for n in range(count)]

        clients = many(ClientId="c{}", UserPoolId=self.POOL, ClientName="Client {}")
        providers = many(ProviderName="p{}", ProviderType="OIDC")
        pools = many(Id="x_{}", Name="Pool {}")
        identity_pools = many(IdentityPoolId="x:{}", IdentityPoolName="Pool {}")
        identities = many(IdentityId="x:{}")
        server.control("PUT", f"/_pool/{self.POOL}", {"clients": clients, "identity_providers": providers, **pages})
        server.control("PUT", f"/_identity_pool/{self.IDENTITY_POOL}", {"identities": identities, **pages})
        server.control("PUT", f"/_account/{self.REGION}", {
            "user_pools": pools, "identity_pools": identity_pools, **pages})
        users, identity = self.clients(self.REGION)
        return (
            (partial(users.list_user_pool_clients, UserPoolId=self.POOL), "UserPoolClients", clients),
            (partial(users.list_identity_providers, UserPoolId=self.POOL), "Providers", providers),
            (partial(users.list_user_pools), "UserPools", pools),
            (partial(identity.list_identity_pools), "IdentityPools", identity_pools),
            (partial(identity.list_identities, IdentityPoolId=self.IDENTITY_POOL), "Identities", identities))

    def pages(self, call, **parameters):
        """Yield the pages of a listing."""
        response = call(**parameters)
        yield response
        while "NextToken" in response:
            response = call(**parameters, NextToken=response["NextToken"])
            yield response

    def test_pages(self):
        for count, sizes in ((0, [0]), (1, [1]), (50, [50]), (51, [50, 1]), (120, [50, 50, 20])):
            for call, key, items in self.listings(count):
                with self.subTest(key=key, count=count):
                    pages = list(self.pages(call, MaxResults=50))
                    self.assertEqual([len(page[key]) for page in pages], sizes)
                    self.assertEqual([item for page in pages for item in page[key]], items)

    def test_odd_pages(self):
        for call, key, items in self.listings(5, empty_pages=1, token_length=900):
            with self.subTest(key=key):
                pages = list(self.pages(call, MaxResults=2))
                self.assertEqual([len(page[key]) for page in pages], [2, 0, 2, 0, 1, 0])
                self.assertEqual([item for page in pages for item in page[key]], items)
                self.assertEqual({len(page["NextToken"]) for page in pages[:-1]}, {900})
        for call, key, items in self.listings(5, ignore_limit=True):
            with self.subTest(key=key, ignore_limit=True):
                page = call(MaxResults=2)
                self.assertEqual((page[key], "NextToken" in page), (items, False))

    def test_tokens_are_bound_to_the_listing(self):
        server.control("PUT", f"/_pool/{self.POOL}2", {})
        server.control("PUT", f"/_identity_pool/{self.IDENTITY_POOL}2", {})
        calls = [call for call, *_ in self.listings(5)]
        tokens = [call(MaxResults=2)["NextToken"] for call in calls]
        for call, token, other in zip(calls, tokens, tokens[1:] + tokens[:1]):
            for change in ({"MaxResults": 3}, {"NextToken": token + "+"}, {"NextToken": other},
                           *({name: value + "2"} for name, value in call.keywords.items())):
                with self.subTest(call=call, change=change):
                    self.assertEqual(self.error(call, **{"MaxResults": 2, "NextToken": token, **change}),
                                     ("InvalidParameterException", "Invalid pagination token given."))

    def test_details(self):
        server.control("PUT", "/_pool/eu-west-1_Plain", {})
        pool = {"Id": "eu-west-1_Plain", "Name": "Plain", "EstimatedNumberOfUsers": 0,
                "Arn": "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Plain"}
        self.assertEqual(self.client.describe_user_pool(UserPoolId=pool["Id"])["UserPool"], pool)
        details = {"Name": "Other", "MfaConfiguration": "ON"}
        server.control("PUT", "/_pool/eu-west-1_Plain", {"details": details})
        self.assertEqual(self.client.describe_user_pool(UserPoolId=pool["Id"])["UserPool"], {**pool, **details})

        identity_pool = {"IdentityPoolId": "eu-west-1:0c", "IdentityPoolName": "0c",
                         "AllowUnauthenticatedIdentities": False}
        details = {"IdentityPoolName": "Other", "AllowClassicFlow": True}
        for given in ({}, details):
            server.control("PUT", "/_identity_pool/eu-west-1:0c", {"details": given})
            response = self.identity.describe_identity_pool(IdentityPoolId="eu-west-1:0c")
            del response["ResponseMetadata"]
            self.assertEqual(response, {**identity_pool, **given})

    def test_region_lists_its_pools(self):
        server.control("PUT", "/_pool/eu-south-1_Listed", {"details": {"Name": "listed", "MfaConfiguration": "ON"}})
        server.control("PUT", "/_identity_pool/eu-south-1:0a", {})
        users, identity = self.clients("eu-south-1")
        self.assertEqual(len(self.names("eu-south-1_Users3", users)), 3)
        self.assertEqual(users.list_user_pools(MaxResults=60)["UserPools"],
                         [{"Id": "eu-south-1_Listed", "Name": "listed"}])
        self.assertEqual(identity.list_identity_pools(MaxResults=60)["IdentityPools"],
                         [{"IdentityPoolId": "eu-south-1:0a", "IdentityPoolName": "0a"}])

    def test_missing_resources(self):
        elsewhere, elsewhere_identity = self.clients("eu-west-2")
        for client, pool in ((self.client, "eu-west-1_Nobody"), (elsewhere, DEMO)):
            for call in (client.describe_user_pool, client.list_user_pool_clients, client.list_identity_providers,
                         partial(client.describe_user_pool_client, ClientId="none")):
                self.assertEqual(self.error(call, UserPoolId=pool),
                                 ("ResourceNotFoundException", f"User pool {pool} does not exist."))
        for client, pool in ((self.identity, "eu-west-1:0"), (elsewhere_identity, DEMO_IDENTITIES)):
            for call in (client.describe_identity_pool, partial(client.list_identities, MaxResults=1)):
                self.assertEqual(self.error(call, IdentityPoolId=pool),
                                 ("ResourceNotFoundException", f"IdentityPool '{pool}' not found."))
        self.assertEqual(self.error(self.client.describe_user_pool_client, UserPoolId=DEMO, ClientId="none"),
                         ("ResourceNotFoundException", "User pool client none does not exist."))

    def test_permissions(self):
        server.control("PUT", "/_keys", {"NOTHING": {"secret": "s", "denied": list(OPERATIONS)}})
        for service, operation, call in every_operation(key_id="NOTHING", secret="s"):
            with self.subTest(operation=operation):
                error, message = self.error(call)
                self.assertEqual(error, "AccessDeniedException")
                self.assertIn(f"is not authorized to perform: {service}:{operation} because", message)

    def test_every_operation(self):
        operations = []
        for _, operation, call in every_operation():
            with self.subTest(operation=operation):
                answered = call().keys() > {"ResponseMetadata"}
                self.assertEqual(answered, operation not in ("AdminAddUserToGroup", "AdminRemoveUserFromGroup"))
                operations.append(operation)
        self.assertEqual(sorted(operations), sorted(OPERATIONS))


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
            ("HideDisabled", identity.list_identities,
             {"IdentityPoolId": DEMO_IDENTITIES, "MaxResults": 1, "HideDisabled": 1}),
        ):
            with self.subTest(call=call, parameters=parameters):
                self.assertEqual(self.error(call, **parameters)[0], "InvalidParameterException")
                self.assert_violation(expected, "InvalidParameterException")
        longest = 'name = "%s"' % ("é" * 247)
        self.assertEqual(client.list_users(UserPoolId=DEMO, Filter=longest)["Users"], [])

    def send(self, body='{"UserPoolId": "%s"}' % DEMO, method="POST", path="/", target=TARGET, unsigned=(), twice=False,
             content_type="application/x-amz-json-1.1", host=None, sign=True, service="cognito-idp", scope_day=None):
        """Send a hand-made request; return status, headers and content of the response."""
        address = server.url.removeprefix("http://")
        headers = {"Host": host or address, "Content-Type": content_type, "X-Amz-Target": target}
        signed = {name: value for name, value in headers.items() if name not in unsigned}
        request = AWSRequest(method, f"http://{host or address}{path}", signed, body.encode())
        if sign:
            SigV4Auth(Credentials(KEY_ID, SECRET), service, "eu-west-1").add_auth(request)
        headers.update(request.headers.items())
        if scope_day:
            day = headers["X-Amz-Date"][:8]
            headers["Authorization"] = headers["Authorization"].replace(f"/{day}/", f"/{scope_day}/")
        connection = http.client.HTTPConnection(address, timeout=5)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in [*headers.items(), *([("x-twice", "a")] * 2 if twice else [])]:
            connection.putheader(name, value)
        connection.putheader("Content-Length", len(body.encode()))
        connection.endheaders(body.encode())
        response = connection.getresponse()
        content = json.load(response)
        connection.close()
        return response.status, response.headers, content

    def test_protocol(self):
        status, headers, content = self.send()
        self.assertEqual((status, len(content["Users"])), (200, 60))
        self.assertEqual(headers["content-type"], "application/x-amz-json-1.1")
        uuid.UUID(headers["x-amzn-requestid"])
        for expected, error, request in (
            ("GET", "UnknownOperationException", {"method": "GET"}),
            ("/users", "UnknownOperationException", {"path": "/users"}),
            ("Sandwich", "UnknownOperationException", {"target": "Sandwich.ListUsers"}),
            ("not served", "UnknownOperationException", {"target": TARGET.replace("ListUsers", "EatUsers")}),
            ("content-type", "UnknownOperationException", {"content_type": "application/json"}),
            ("twice", "SerializationException", {"twice": True}),
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
                status, headers, content = self.send(**request)
                self.assertEqual((status, content["__type"]), (400, error))
                self.assertIsNone(headers["x-amzn-errortype"])
                uuid.UUID(headers["x-amzn-requestid"])
                self.assert_violation(expected, error)

    def test_faults_hide_no_violation(self):
        server.control("PUT", "/_faults", [{"error": "TooManyRequestsException"}])
        self.assertEqual(self.send(body="{}")[2]["__type"], "TooManyRequestsException")
        self.assert_violation("UserPoolId", "TooManyRequestsException")


class Faults(Case):
    def set_faults(self, *faults):
        server.control("PUT", "/_faults", list(faults))

    def codes(self, count=1):
        """Return the outcome of some requests: the error type, or the number of users."""
        outcomes = []
        for _ in range(count):
            try:
                outcomes.append(len(self.client.list_users(UserPoolId="eu-west-1_Users5")["Users"]))
            except ClientError as error:
                outcomes.append(error.response["Error"]["Code"])
        return outcomes

    def test_which_and_how_often(self):
        for faults, expected in (
            ([], [5]),
            ([{"error": "E"}], ["E", 5]),
            ([{"error": "E", "skip": 1, "times": 2}], [5, "E", "E", 5]),
            ([{"error": "E", "times": -1}], ["E", "E", "E"]),
            ([{"error": "E", "operation": "ListUsers"}, {"error": "F"}], ["E", "F", 5]),
            ([{"error": "E", "operation": "ListGroups"}], [5, 5]),
        ):
            with self.subTest(faults=faults):
                self.set_faults(*faults)
                self.assertEqual(self.codes(len(expected)), expected)

    def test_errors(self):
        self.set_faults({"error": "E1", "status": 503, "message": "later", "headers": {"Retry-After": "7"}},
                   {"error": "E2", "type_in": "header"}, {"error": "E3", "type_in": "prefixed"})
        for error in ("E1", "E2", "E3"):
            request = urllib.request.Request(server.url + "/", b"{}")
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request)
            status, headers, content = caught.exception.code, caught.exception.headers, json.load(caught.exception)
            if error == "E1":
                self.assertEqual((status, headers["retry-after"], content),
                                 (503, "7", {"__type": "E1", "message": "later"}))
            elif error == "E2":
                self.assertEqual((status, headers["x-amzn-errortype"], content.keys()), (400, "E2", {"message"}))
            else:
                self.assertRegex(content["__type"], r"\Acom\.amazonaws\.\w+#E3:http://")
        self.assertEqual([request["error"] for request in server.control("GET", "/_requests")], ["E1", "E2", "E3"])
        self.new_violations()

    def test_replies(self):
        body = b'{"Users": [{"Username": "\xff"}]}'
        self.set_faults({"reply": {"body": '{"Users": []}', "headers": {"X-Test": "yes"}}},
                   {"reply": {"status": 502, "body_base64": base64.b64encode(body).decode()}})
        response = self.client.list_users(UserPoolId=DEMO)
        self.assertEqual((response["Users"], response["ResponseMetadata"]["HTTPHeaders"]["x-test"]), ([], "yes"))
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(server.url + "/", b"{}")
        self.assertEqual((caught.exception.code, caught.exception.read()), (502, body))
        self.new_violations()

    def test_close(self):
        self.set_faults({"close": "before"}, {"close": "midway"})
        with self.assertRaises(ConnectionClosedError):
            self.client.list_users(UserPoolId=DEMO)
        with self.assertRaises(urllib.error.HTTPError) as unsigned:
            urllib.request.urlopen(server.url + "/", b"{}")
        with self.assertRaises(http.client.IncompleteRead) as caught:
            unsigned.exception.read()
        self.new_violations()
        self.assertLessEqual(abs(len(caught.exception.partial) - caught.exception.expected), 1)
        self.assertGreater(len(caught.exception.partial), 20)
        self.assertEqual([request["status"] for request in server.control("GET", "/_requests")], [None, 400])
        self.assertEqual(self.codes(), [5])

    def test_stall_and_delay(self):
        self.set_faults({"stall": "response"}, {"stall": "body"}, {"delay": 0.3}, {"stall": "body"})
        impatient = server.client(read_timeout=0.2)
        with self.assertRaises(ReadTimeoutError):
            impatient.list_users(UserPoolId=DEMO)
        begun = time.monotonic()
        empty = self.client.list_users(UserPoolId="eu-west-1_Users0")
        self.assertEqual(empty["Users"], [])
        self.assertGreater(time.monotonic() - begun, 0.02 * len('{"Users": []}'))
        begun = time.monotonic()
        self.assertEqual(self.codes(), [5])
        self.assertGreater(time.monotonic() - begun, 0.3)
        with urllib.request.urlopen(urllib.request.Request(server.url + "/_requests")) as response:
            self.assertEqual([request["status"] for request in json.load(response)], [None, 200, 200])

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
        self.names("eu-west-1_Users61")
        self.error(server.client().list_users, UserPoolId="eu-west-1_Nobody")
        first, second, third = server.control("GET", "/_requests")
        self.assertEqual((first["operation"], first["body"]), ("ListUsers", {"UserPoolId": "eu-west-1_Users61"}))
        self.assertEqual(first["headers"]["x-amz-target"], TARGET)
        self.assertTrue(begun <= first["time"] <= second["time"] <= time.time())
        self.assertEqual(first["connection"], second["connection"])
        self.assertNotEqual(first["connection"], third["connection"])
        self.assertEqual([(r["status"], r["error"]) for r in (first, second, third)],
                         [(200, None), (200, None), (400, "ResourceNotFoundException")])
        server.control("DELETE", "/_requests")
        self.assertEqual(server.control("GET", "/_requests"), [])


class Commands(unittest.TestCase):
    def run_command(self, script):
        """Start `run` with a shell script."""
        return subprocess.Popen([PROGRAM, "run", "sh", "-c", script], stdout=subprocess.PIPE, text=True)

    def test_run(self):
        done = subprocess.run([PROGRAM, "run", "sh", "-c", "echo $COGNITO_ENDPOINT; exit 7"], capture_output=True,
                              text=True, timeout=10)
        self.assertEqual(done.returncode, 7)
        self.assertRegex(done.stdout, r"\Ahttp://127\.0\.0\.1:\d+\n\Z")
        script = "import os, urllib.request as r; r.urlopen(os.environ['COGNITO_ENDPOINT'] + '/_requests').read()"
        subprocess.run([PROGRAM, "run", sys.executable, "-c", script], check=True, timeout=10)

    def test_run_ends_with_its_command(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.run_command("echo $$; exec sleep 60")
            child = int(process.stdout.readline())
            process.send_signal(number)
            self.assertEqual(process.wait(5), 128 + number)
            with self.assertRaises(ProcessLookupError):
                os.kill(child, 0)
            process.stdout.close()

    def test_serve_ends(self):
        stalled = Server()
        stalled.control("PUT", "/_faults", [{"stall": "response"}])
        waiting = http.client.HTTPConnection(stalled.url.removeprefix("http://"))
        waiting.request("POST", "/", "{}")
        while not stalled.control("GET", "/_requests"):
            time.sleep(0.01)
        self.assertEqual(stalled.stop(), 0)
        waiting.close()
        terminated = Server()
        terminated.process.terminate()
        self.assertEqual(terminated.process.wait(5), 0)
        terminated.stop()

    def test_usage(self):
        done = subprocess.run([PROGRAM, "sing"], capture_output=True, text=True, timeout=10)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("serve [--tls DIR]", done.stderr)


class Tls(unittest.TestCase):
    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            secure = Server("--tls", folder)
            self.addCleanup(secure.stop)
            self.assertRegex(secure.url, r"\Ahttps://localhost:\d+\Z")
            users = secure.client(verify=f"{folder}/ca.pem").list_users(UserPoolId=DEMO)["Users"]
            self.assertEqual(len(users), 60)
            self.assertEqual(len(secure.control("GET", "/_requests")), 1)
            secure.url = secure.url.replace("localhost", "127.0.0.1")
            self.assertEqual(secure.control("GET", "/_violations"), [])
            with self.assertRaises(SSLError):
                secure.client().list_users(UserPoolId=DEMO)
            secure.trust.minimum_version = ssl.TLSVersion.TLSv1
            secure.trust.maximum_version = ssl.TLSVersion.TLSv1_1
            secure.trust.set_ciphers("ALL:@SECLEVEL=0")
            with self.assertRaisesRegex(urllib.error.URLError, "protocol version"):
                secure.control("GET", "/_violations")


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # boto3 leaves its connections open
