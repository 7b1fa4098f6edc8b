"""Google's protobuf message classes, made from the descriptors of its client libraries.

`python -m local.google.descriptors` writes these to `descriptors.gz`; a test compares the two.
"""

import gzip
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DESCRIPTORS = Path(__file__).parent / "descriptors.gz"


def _described() -> descriptor_pool.DescriptorPool:
    """A separate pool: client libraries, if imported too, register the same names in the default pool."""
    files = descriptor_pb2.FileDescriptorSet.FromString(gzip.decompress(DESCRIPTORS.read_bytes()))
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


_POOL = _described()


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


def _firestore(name: str) -> Any:
    return _message(f"google.firestore.v1.{name}")


def _secret_manager(name: str) -> Any:
    return _message(f"google.cloud.secretmanager.v1.{name}")


BatchGetDocumentsRequest = _firestore("BatchGetDocumentsRequest")
BatchGetDocumentsResponse = _firestore("BatchGetDocumentsResponse")
CommitRequest = _firestore("CommitRequest")
CommitResponse = _firestore("CommitResponse")
RunQueryRequest = _firestore("RunQueryRequest")
RunQueryResponse = _firestore("RunQueryResponse")
Value = _firestore("Value")

PublishRequest = _message("google.pubsub.v1.PublishRequest")
PublishResponse = _message("google.pubsub.v1.PublishResponse")

AccessSecretVersionRequest = _secret_manager("AccessSecretVersionRequest")
AccessSecretVersionResponse = _secret_manager("AccessSecretVersionResponse")
AddSecretVersionRequest = _secret_manager("AddSecretVersionRequest")
CreateSecretRequest = _secret_manager("CreateSecretRequest")
DestroySecretVersionRequest = _secret_manager("DestroySecretVersionRequest")
DisableSecretVersionRequest = _secret_manager("DisableSecretVersionRequest")
EnableSecretVersionRequest = _secret_manager("EnableSecretVersionRequest")
ListSecretVersionsRequest = _secret_manager("ListSecretVersionsRequest")
ListSecretVersionsResponse = _secret_manager("ListSecretVersionsResponse")
Secret = _secret_manager("Secret")
SecretVersion = _secret_manager("SecretVersion")
