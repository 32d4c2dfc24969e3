"""An artifact at an address."""

from enum import StrEnum

from headrace.model.digest import Digest
from headrace.model.value import Value


class DeploymentStatus(StrEnum):
    QUEUED = "queued"
    CLONING = "cloning"
    BUILDING = "building"
    UPLOADING = "uploading"
    DEPLOYED = "deployed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Deployment(Value):
    id: str
    project_id: str
    build_id: str
    artifact: Digest
    environment: str = "production"
    status: DeploymentStatus = DeploymentStatus.DEPLOYED
    #: Host label of this deployment's own address; it never points anywhere else.
    label: str
    created_at: str


class Alias(Value):
    """A host label that points at a deployment. Moving it is the switch."""

    label: str
    project_id: str
    deployment_id: str
