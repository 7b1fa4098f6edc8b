"""`python -m local.google.descriptors` takes what Google's clients say of their messages, for the functions.

To be run when a client's version changes in a way that a test complains about.
"""

import gzip
import sys

from google.cloud.firestore_v1.types import firestore
from google.cloud.secretmanager_v1.types import service
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from google.pubsub_v1.types import pubsub

from shared.google_rpc.messages import DESCRIPTORS

TAKEN = (firestore.CommitRequest, pubsub.PublishRequest, service.AccessSecretVersionRequest)
"""One message of each file that is taken, with all that it is made of."""


def described() -> bytes:
    """A `FileDescriptorSet`, each file behind those that it needs; the clients name these in any order."""
    files = descriptor_pb2.FileDescriptorSet()
    taken: set[str] = set()

    def take(file: FileDescriptor) -> None:
        if file.name in taken:
            return
        taken.add(file.name)
        for needed in sorted(file.dependencies, key=lambda needed: str(needed.name)):
            take(needed)
        copy = files.file.add()
        file.CopyToProto(copy)
        copy.dependency.sort()

    for message in TAKEN:
        take(message.meta.pb.DESCRIPTOR.file)
    return bytes(files.SerializeToString(deterministic=True))


def main() -> int:
    DESCRIPTORS.write_bytes(gzip.compress(described(), mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
