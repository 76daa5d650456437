"""boto3: copies the users of the pool that URL serves into a table of the same
columns as cognito_users.

Usage: boto.py URL TABLE

Prints the number of users and the seconds that they took, without the time to
load the modules and the service's model.
"""

import csv
import json
import subprocess
import sys
import time

import boto3

url, table = sys.argv[1:]


def pages(client):
    """All pages of the pool."""
    return client.get_paginator("list_users").paginate(
        UserPoolId="eu-west-1_AbCdEf123", PaginationConfig={"PageSize": 60})


def row(user):
    """A user as a row of the table."""
    attributes = {a["Name"]: a.get("Value") for a in user.get("Attributes", [])}
    return (user.get("Username"), attributes.get("email"), user.get("UserStatus"),
            user.get("Enabled"), user.get("UserCreateDate"),
            user.get("UserLastModifiedDate"), json.dumps(attributes))


def copy(client):
    """Copies the users into the table; returns how many."""
    users = 0
    with subprocess.Popen(["psql", "-Xqc", f"\\copy {table} from stdin csv"],
                          stdin=subprocess.PIPE, text=True) as psql:
        lines = csv.writer(psql.stdin)
        for page in pages(client):
            lines.writerows(map(row, page["Users"]))
            users += len(page["Users"])
    if psql.returncode != 0:
        sys.exit("the copy failed")
    return users


cognito = boto3.client(
    "cognito-idp", endpoint_url=url, region_name="eu-west-1",
    aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
    aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
start = time.monotonic()
copied = copy(cognito)
print(copied, time.monotonic() - start)
