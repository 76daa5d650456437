"""The services of the local Cognito that issue credentials: an instance's metadata service (IMDSv2), a container's
agent (of ECS and EKS Pod Identity), and STS.

They are as strict as the real ones: about headers, tokens, signatures, external ids, and who may assume which role.
What they issue are access keys of the local Cognito, which expire. A test changes them with `PUT /_credentials`,
whose fields are those of Services, and `PUT /_credentials/expire`, after which all issued keys have expired.
"""

import json
import secrets
import time
import urllib.parse
import uuid
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import ServiceModel

STS = ServiceModel(Loader().load_service_model("sts", "service-2"), "sts")
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
ROLES = "/latest/meta-data/iam/security-credentials/"
CONTAINER = "/v2/credentials/"

# The names of errors in STS, by those in Cognito
STS_ERRORS = {"UnrecognizedClientException": "InvalidClientTokenId", "InvalidSignatureException": "SignatureDoesNotMatch",
              "ExpiredTokenException": "ExpiredToken", "IncompleteSignatureException": "IncompleteSignature",
              "InvalidParameterException": "ValidationError"}


def operation(method, path, headers, body):
    """Return the name of the operation that a request asks for, or None if it is none of these services."""
    if path == "/latest/api/token":
        return "GetMetadataToken"
    if path == ROLES:
        return "ListInstanceRoles"
    if path.startswith(ROLES):
        return "GetInstanceCredentials"
    if path.startswith(CONTAINER):
        return "GetContainerCredentials"
    if (method, path) == ("POST", "/") and headers.get("content-type", "").startswith("application/x-www-form"):
        return parameters(body).get("Action", "NoAction")
    return None


def parameters(body):
    """Return the parameters of a form."""
    return dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))


def timestamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def element(name, content):
    """Return an element of XML from a dictionary or a string."""
    inner = "".join(element(*item) for item in content.items()) if isinstance(content, dict) else escape(content)
    return f"<{name}>{inner}</{name}>"


def document(name, content):
    """Return a response of STS."""
    inner = "".join(f"\n  {element(*item)}" for item in content.items())
    return f'<{name} xmlns="{NAMESPACE}">{inner}\n</{name}>\n'.encode()


class Refused(Exception):
    """A response with an error; `is_violation` if no correct client causes it."""

    def __init__(self, status, error, message, is_violation=False):
        super().__init__(message)
        self.status, self.error, self.is_violation = status, error, is_violation


class Services:
    """The state of the services. The account that they serve has the access keys of the local Cognito."""

    def __init__(self, cognito, check_shape, service_error):
        self.cognito, self.check_shape, self.ServiceError = cognito, check_shape, service_error
        self.lifetime = 3600             # seconds for which the metadata service's and the agent's keys are valid
        self.instance_role = "app-role"  # None if the instance has none
        self.metadata_tokens = set()
        self.container_token = None      # what the agent demands in Authorization; None for nothing
        self.web_identity_token = "web.identity.token"
        # by ARN: who may assume it (prefixes of access keys), and the external id that it demands
        self.roles = {}
        self.secret = self.token = None  # of all issued keys; None for random ones
        self.issued = []

    def configure(self, fields):
        for name, value in fields.items():
            if not hasattr(self, name):
                raise ValueError(name)
            setattr(self, name, value)

    def expire(self):
        for key_id in self.issued:
            self.cognito.keys[key_id].expires = 0

    def issue(self, prefix, lifetime):
        """Return new keys: the id, the secret, the token and the expiry."""
        self.issued.append(f"ASIA{prefix}{len(self.issued) + 1:08d}")
        expires = int(self.cognito.now() + lifetime)
        keys = (self.issued[-1], self.secret or secrets.token_urlsafe(30),
                self.token or f"{secrets.token_urlsafe(300)}/+==", expires)
        self.cognito.add_key(*keys)
        return keys

    def perform(self, call):
        """Return status, content type and body of the response to a request."""
        try:
            perform = getattr(self, call.operation, None)
            if not perform:
                raise Refused(400, "InvalidAction", f"no action {call.operation}", True)
            return 200, *perform(call)
        except Refused as refused:
            if refused.is_violation:
                self.cognito.violations.append(f"{call.operation}: {refused}")
            if "/" in call.path[1:]:
                return refused.status, "text/plain", f"{refused}\n".encode()
            return refused.status, "text/xml", document("ErrorResponse", {
                "Error": {"Type": "Sender", "Code": refused.error, "Message": str(refused)},
                "RequestId": str(uuid.uuid4())})

    # The metadata service

    def GetMetadataToken(self, call):
        ttl = call.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if call.method != "PUT" or not ttl.isdigit() or not 1 <= int(ttl) <= 21600 or call.body:
            raise Refused(400, "BadRequest", "a token is asked for with PUT and the header with its lifetime", True)
        token = self.token or f"{secrets.token_urlsafe(40)}=="
        self.metadata_tokens.add(token)
        return "text/plain", token.encode()

    def check_metadata(self, call):
        if call.method != "GET" or call.headers.get("x-aws-ec2-metadata-token") not in self.metadata_tokens:
            raise Refused(401, "Unauthorized", "no valid token", True)
        if not self.instance_role:
            raise Refused(404, "NotFound", "Not Found")

    def ListInstanceRoles(self, call):
        self.check_metadata(call)
        return "text/plain", self.instance_role.encode()

    def GetInstanceCredentials(self, call):
        self.check_metadata(call)
        if call.path != ROLES + self.instance_role:
            raise Refused(404, "NotFound", "Not Found", True)
        key_id, secret, token, expires = self.issue("INSTANCE", self.lifetime)
        return "text/plain", json.dumps({
            "Code": "Success", "LastUpdated": timestamp(self.cognito.now()), "Type": "AWS-HMAC", "AccessKeyId": key_id,
            "SecretAccessKey": secret, "Token": token, "Expiration": timestamp(expires)}, indent=2).encode()

    # The container's agent

    def GetContainerCredentials(self, call):
        if call.method != "GET" or call.headers.get("authorization") != self.container_token:
            raise Refused(403, "AccessDenied", f"not {call.headers.get('authorization')}")
        key_id, secret, token, expires = self.issue("CONTAINER", self.lifetime)
        return "application/json", json.dumps({
            "RoleArn": "arn:aws:iam::123456789012:role/task", "AccessKeyId": key_id, "SecretAccessKey": secret,
            "Token": token, "Expiration": timestamp(expires)}).encode()

    # STS

    def check_form(self, call):
        """Return the parameters of a form, checked against the service model."""
        form = parameters(call.body)
        if call.headers["content-type"] != FORM or form.pop("Version", None) != STS.api_version:
            raise Refused(400, "InvalidAction", "the content type or the version is wrong", True)
        form.pop("Action")
        if "DurationSeconds" in form:
            form["DurationSeconds"] = int(form["DurationSeconds"])
        try:
            self.check_shape(form, STS.operation_model(call.operation).input_shape)
        except ValueError as error:
            raise Refused(400, "ValidationError", str(error)) from None
        return form

    def assumed(self, call, form, prefix):
        """Return the response with the keys of an assumed role."""
        lifetime = self.roles.get(form["RoleArn"], {}).get("lifetime", form.get("DurationSeconds", 3600))
        key_id, secret, token, expires = self.issue(prefix, lifetime)
        role = form["RoleArn"].rpartition("/")[2]
        return "text/xml", document(f"{call.operation}Response", {
            f"{call.operation}Result": {
                "AssumedRoleUser": {"AssumedRoleId": f"AROA{role}:{form['RoleSessionName']}",
                                    "Arn": f"arn:aws:sts::123456789012:assumed-role/{role}/{form['RoleSessionName']}"},
                "Credentials": {"AccessKeyId": key_id, "SecretAccessKey": secret, "SessionToken": token,
                                "Expiration": timestamp(expires)}},
            "ResponseMetadata": {"RequestId": str(uuid.uuid4())}})

    def authorize(self, call):
        """Check the signature, with Cognito's checks and STS's names of errors."""
        try:
            self.cognito.authorize(call, STS.endpoint_prefix, {"content-type", "host", "x-amz-date"})
        except self.ServiceError as error:
            raise Refused(403, STS_ERRORS[error.error], str(error)) from None

    def AssumeRole(self, call):
        self.authorize(call)
        form = self.check_form(call)
        role = self.roles.get(form["RoleArn"])
        if (not role or not call.record["key"].startswith(tuple(role["trusts"])) or
                role.get("external_id") not in (None, form.get("ExternalId"))):
            raise Refused(403, "AccessDenied",f"User: {call.record['key']} is not authorized to perform: sts:AssumeRole on "
                          f"resource: {form['RoleArn']}")
        return self.assumed(call, form, "ROLE")

    def AssumeRoleWithWebIdentity(self, call):
        if "authorization" in call.headers:
            raise Refused(400, "InvalidAction", "this action is not signed", True)
        form = self.check_form(call)
        if form["WebIdentityToken"] != self.web_identity_token:
            raise Refused(400, "InvalidIdentityToken", f"Couldn't verify: {form['WebIdentityToken']}")
        return self.assumed(call, form, "WEB")
